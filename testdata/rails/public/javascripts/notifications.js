import consumer from "./consumer.js"

const list = document.getElementById("notifications")
const count = document.getElementById("notifications-count")
const template = document.getElementById("notification-template")

const subscription = consumer.subscriptions.create("NotificationsChannel", {
  received({ id, text, read }) {
    read ? list.querySelector(`[data-id="${id}"]`)?.remove() : add(id, text)
    count.textContent = list.children.length
  }
})

list.addEventListener("click", ({ target }) => {
  if (target.matches(".read")) subscription.perform("read", { id: target.closest(".notification").dataset.id })
})

function add(id, text) {
  const notification = template.content.firstElementChild.cloneNode(true)
  notification.dataset.id = id
  notification.querySelector(".text").textContent = text
  list.append(notification)
}
