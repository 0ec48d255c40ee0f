import consumer from "./consumer.js"
import * as status from "./status.js"

const room = document.getElementById("room")
const messages = document.getElementById("messages")
const typing = document.getElementById("typing")
const composer = document.getElementById("composer")
const template = document.getElementById("message-template")

const TYPING_SHOWN_FOR = 3000
const TYPING_SENT_EVERY = 1000

const subscription = consumer.subscriptions.create({ channel: "RoomChannel", room_id: room.dataset.roomId }, {
  connected() {
    status.connected()
  },

  disconnected(details) {
    status.disconnected(details)
  },

  received({ type, ...event }) {
    if (type === "message") addMessage(event)
    if (type === "typing") showTyping(event)
    if (type === "joined" || type === "left") addLine(`${event.user} ${type}`, type)
  }
})

composer.addEventListener("submit", event => {
  event.preventDefault()
  const body = composer.body.value.trim()
  if (body && subscription.perform("speak", { body })) composer.reset()
})

let typingSentAt = 0

composer.body.addEventListener("input", () => {
  if (Date.now() - typingSentAt < TYPING_SENT_EVERY) return
  typingSentAt = Date.now()
  subscription.perform("typing")
})

function addMessage({ id, user, body, at }) {
  const message = template.content.firstElementChild.cloneNode(true)
  message.dataset.id = id
  message.dataset.user = user
  message.querySelector(".author").textContent = user
  message.querySelector(".body").textContent = body
  message.querySelector("time").dateTime = at
  dress(message)
  append(message)
  if (typing.dataset.user === user) hideTyping()
}

function addLine(text, kind) {
  const line = document.createElement("li")
  line.className = "event"
  line.dataset.event = kind
  line.textContent = text
  append(line)
}

function append(item) {
  messages.append(item)
  messages.scrollTop = messages.scrollHeight
}

// Adds what the server does not know: whether the message is the reader's own, and the time zone.
function dress(message) {
  message.classList.toggle("own", message.dataset.user === room.dataset.user)
  const time = message.querySelector("time")
  time.textContent = new Date(time.dateTime).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })
}

let typingTimer

function showTyping({ user }) {
  if (user === room.dataset.user) return
  typing.dataset.user = user
  typing.textContent = `${user} is typing…`
  clearTimeout(typingTimer)
  typingTimer = setTimeout(hideTyping, TYPING_SHOWN_FOR)
}

function hideTyping() {
  delete typing.dataset.user
  typing.textContent = ""
}

messages.querySelectorAll(".message").forEach(dress)
messages.scrollTop = messages.scrollHeight
