import consumer from "./consumer.js"

const room = document.getElementById("room")
const panel = document.getElementById("word-count")
const start = document.getElementById("word-count-start")
const progress = document.getElementById("word-count-progress")
const result = document.getElementById("word-count-result")

start.addEventListener("click", () => {
  panel.dataset.state = "counting"
  start.disabled = true
  progress.value = 0
  result.replaceChildren()

  // Starts the job when its stream is live, so that no progress is missed.
  const subscription = consumer.subscriptions.create({ channel: "WordCountsChannel", room_id: room.dataset.roomId }, {
    connected() {
      subscription.perform("start")
    },

    received({ percent, words }) {
      progress.value = percent
      if (!words) return
      show(words)
      subscription.unsubscribe()
    }
  })
})

function show(words) {
  for (const [name, count] of Object.entries(words)) {
    const term = document.createElement("dt")
    const detail = document.createElement("dd")
    term.textContent = name
    detail.textContent = count
    result.append(term, detail)
  }
  panel.dataset.state = "done"
  start.disabled = false
}
