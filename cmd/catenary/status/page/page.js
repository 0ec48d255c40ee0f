// The status page draws what /status/events sends: first ten minutes of points, then a status each second.
import { Chart, bytes, element, milliseconds, percent, short } from "./chart.js"

const maxPoints = 600 // ten minutes
const rate = (value) => value === undefined ? "–" : `${short(value)}/s`

const charts = [
  new Chart({ title: "Browsers", series: [["connections", "connections"], ["users", "users"], ["subscriptions", "subscriptions"]] }),
  new Chart({ title: "Connections", format: rate, series: [["opened", "opened"], ["ended", "closed"], ["rejected", "rejected"]] }),
  new Chart({ title: "Deliveries", format: rate, series: [["deliveries", "broadcasts to browsers"]] }),
  new Chart({ title: "Broadcasts and commands", format: rate, series: [["broadcasts", "broadcasts"], ["commands", "commands from browsers"]] }),
  new Chart({ title: "Time to deliver a broadcast", format: milliseconds, series: [["broadcast_time", "95th percentile"]] }),
  new Chart({ title: "Time of a call to Rails", format: milliseconds, series: [["call_time", "95th percentile"]] }),
  new Chart({ title: "Calls to Rails", series: [["in_flight", "in flight"], ["workers", "workers"], ["waiting", "waiting"]] }),
  new Chart({ title: "CPU", format: percent, least: .01, series: [["cpu", "of one core"]] }),
  new Chart({ title: "Memory", format: bytes, least: 16, unit: 2 ** 20, series: [["memory", "resident"]] }),
]

let points = [], status = null, pointed = null // pointed: where the pointer is on the time axis, from 0 to 1
const $ = (id) => document.getElementById(id)

$("charts").append(...charts.map((chart) => chart.card))
for (const chart of charts) {
  chart.plot.addEventListener("pointermove", (event) => { pointed = chart.place(event); draw() })
  chart.plot.addEventListener("pointerleave", () => { pointed = null; draw() })
}
new ResizeObserver(() => draw()).observe($("charts"))

function draw() {
  if (points.length === 0) return
  const until = points.at(-1).at
  const span = Math.min(maxPoints * 1000, Math.max(60000, until - points[0].at))
  const from = until - span
  let at = points.at(-1)
  if (pointed !== null) {
    const time = from + span * pointed
    at = points.reduce((near, point) => Math.abs(point.at - time) < Math.abs(near.at - time) ? point : near)
  }
  for (const chart of charts) chart.draw(points.filter((point) => point.at >= from), from, until, at)
  $("clock").textContent = new Date(at.at).toLocaleTimeString()
}

function show() {
  const state = status.draining ? ["not-ready", "stopping"] : status.not_ready ? ["not-ready", "not ready"] : ["ready", "ready"]
  showState(...state, status.not_ready ?? "", status.warnings ?? [])
  $("node").textContent = `${status.node} · version ${status.version}`
  $("all").textContent = `${short(status.streams.all)} streams`
  const stream = [["stream"], ["members"], ["deliveries/s"]]
  const ofStream = (s) => [named(s.name, s.raw), short(s.members), short(s.pace)]
  table("busiest", stream, status.streams.busiest, "no stream has subscribers", ofStream, (s) => s.pace)
  table("largest", stream, status.streams.largest, "no stream has subscribers", ofStream, (s) => s.members)
  table("calls", [["call"], ["per second"], ["median"], ["95 %"], ["failed"]], status.calls, "none yet",
    (c) => [named(c.text, c.do), short(c.pace), short(c.median), short(c.slow), c.failed])
  const { transport, processes } = status.rails
  const links = processes.length === 1 ? "1 link" : `${processes.length} links`
  $("transport").textContent = { link: links, post: "by POST" }[transport] ?? ""
  table("processes", [["process"], ["busy"], ["waiting"], ["browsers"]], processes, transport === "post" ? "unknown, calls go by POST" : "no link",
    (p) => [processName(p), `${p.busy} of ${p.workers}`, short(p.waiting), short(p.connections)], (p) => p.connections)
  const happened = [["reason"], ["last minute"], ["total"]]
  const lately = (c) => [named(c.text, c.reason), short(c.lately), short(c.all)]
  table("handshakes", [["outcome"], ...happened.slice(1)], status.handshakes, "none yet", lately, (c) => c.lately)
  table("ends", happened, status.ends, "none yet", lately, (c) => c.lately)
  const up = Math.round((status.now.at - status.started) / 1000)
  const { gaps, memory, nodes } = status
  const missed = gaps.count === 0 ? "none" : `${gaps.count}, ${Math.round(gaps.seconds)} s${gaps.lasting ? ", one is open" : ""}`
  table("about", null, [
    ["uptime", up < 120 ? `${up} s` : up < 7200 ? `${Math.floor(up / 60)} min` : `${Math.floor(up / 3600)} h`],
    ["other nodes", !nodes.known ? "unknown" : nodes.others?.length ? nodes.others.join(" ") : "none"],
    ["broadcast gaps", missed],
    ["pages caught up", caughtUp(status.catch_ups)],
    ["slow browsers", status.queues.browsers ? `${short(status.queues.browsers)}, ${bytes(status.queues.bytes)} queued` : "none"],
    ["Go's heap", bytes(memory.heap)],
    ["goroutines", short(memory.goroutines)],
  ], "", (row) => row)
}

function caughtUp({ refreshed, pending, ignored }) {
  const parts = [refreshed && short(refreshed), pending && `${short(pending)} wait`, ignored && `${short(ignored)} stamps ignored`]
  return parts.filter((part) => part).join(", ") || "none"
}

function processName(process) {
  const worker = process.puma_worker === undefined ? "" : `worker ${process.puma_worker} · `
  return `${worker}${process.id}${process.stopping ? " · stopping" : ""}`
}

// named is a cell in plain words, with the name in metrics or Redis as its title.
const named = (text, title) => ({ text, title })

function titled({ text, title }) {
  const cell = element("td", "", text)
  cell.title = title && title !== text ? `${text} (${title})` : text
  return cell
}

// table fills a table. Names of streams come from the app, so cells are text, never markup.
function table(id, heads, rows, none, cells, size) {
  const body = (rows ?? []).map((row) => {
    const line = element("tr", "", ...cells(row).map((cell) => cell.text === undefined ? element("td", "", String(cell)) : titled(cell)))
    for (const cell of line.cells) cell.title ||= cell.textContent
    return line
  })
  if (size && body.length) {
    const most = Math.max(...rows.map(size))
    rows.forEach((row, i) => {
      if (!most) return
      const bar = element("span", "bar")
      bar.style.width = `${100 * size(row) / most}%`
      body[i].firstChild.classList.add("named")
      body[i].firstChild.append(bar)
    })
  }
  if (id === "calls") rows.forEach((call, i) => body[i].lastChild.classList.toggle("some", call.failed > 0))
  if (body.length === 0) body.push(element("tr", "", element("td", "none", none)))
  else if (heads) body.unshift(element("tr", "", ...heads.map((head) => element("th", "", ...head))))
  $(id).replaceChildren(...body)
}

// showState shows the state, why catenary is not ready, and warnings, one per line.
function showState(state, text, notReady = "", warnings = []) {
  Object.assign($("state"), { textContent: text }).dataset.state = state
  const reasons = notReady.split("\n").filter((line) => line).map((line) => element("li", "bad", line[0].toUpperCase() + line.slice(1)))
  const all = [...reasons, ...warnings.map((line) => element("li", "", line))]
  const now = all.map((line) => line.className + line.textContent).join("\n")
  if ($("reasons").dataset.now !== now) $("reasons").replaceChildren(...all) // else screen readers would read it aloud each second
  $("reasons").dataset.now = now
  $("reasons").hidden = all.length === 0
}

function listen() {
  const events = new EventSource("status/events")
  events.addEventListener("history", (event) => { points = JSON.parse(event.data) ?? []; draw() })
  events.addEventListener("status", (event) => {
    status = JSON.parse(event.data)
    points.push(status.now)
    if (points.length > maxPoints) points.shift()
    draw()
    show()
  })
  events.onerror = () => {
    showState("lost", "no answer", "catenary does not answer: it is stopped or restarting, or too many status pages are open. This page reconnects by itself.")
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, 5000) // else the browser reconnects by itself
  }
}
listen()
