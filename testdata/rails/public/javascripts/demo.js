// Shows what happens to the sockets of the two chats, which report their state (status.js), and to
// the Rails process that both of them use.

const seconds = ms => (ms / 1000).toFixed(1) + " s"

function age(ms) {
  const s = Math.floor(ms / 1000)
  return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`
}

class Pane {
  constructor(id) {
    this.element = document.getElementById(id)
    this.frame = this.element.querySelector("iframe")
    this.gap = "none"
  }

  report(state) {
    if (state === "connected") {
      this.openedAt = Date.now()
      if (this.closedAt) this.gap = seconds(this.openedAt - this.closedAt)
      this.closedAt = null
    } else {
      this.closedAt ||= Date.now()
    }
    this.element.dataset.state = state
    this.draw()
  }

  draw() {
    const { state } = this.element.dataset
    const open = state === "connected"
    this.show(".socket", open ? `open for ${age(Date.now() - this.openedAt)}` : state)
    this.show(".gap", this.closedAt && this.openedAt ? `${seconds(Date.now() - this.closedAt)} …` : this.gap)
  }

  show(selector, text) {
    this.element.querySelector(selector).textContent = text
  }
}

const panes = [ new Pane("catenary"), new Pane("native") ]

addEventListener("message", ({ source, data }) => {
  panes.find(({ frame }) => frame.contentWindow === source)?.report(data.state)
})

const rails = document.getElementById("rails")
const railsProcess = document.getElementById("rails-process")
const browsers = document.getElementById("browsers")
let awaySince

async function askRails() {
  try {
    const response = await fetch("/demo/vitals", { signal: AbortSignal.timeout(1000) })
    const vitals = await response.json()
    rails.dataset.state = "up"
    railsProcess.textContent = vitals.process
    browsers.textContent = vitals.browsers.toLocaleString("en")
    awaySince = null
  } catch {
    awaySince ||= Date.now()
    rails.dataset.state = "away"
    railsProcess.textContent = `restarting for ${seconds(Date.now() - awaySince)}`
  }
  setTimeout(askRails, 500)
}

function post(path) {
  const token = document.querySelector("meta[name=csrf-token]")?.content
  return fetch(path, { method: "POST", headers: { "X-CSRF-Token": token } })
}

document.getElementById("restart").addEventListener("click", () => post("/demo/restart"))
document.getElementById("add-browsers").addEventListener("click", () => post("/demo/crowd"))

setInterval(() => panes.forEach(pane => pane.draw()), 100)
askRails()
