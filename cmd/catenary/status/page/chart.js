// A chart is a card with the current figures and the last ten minutes as lines.

const svg = (name, attributes = {}, text = "") => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name)
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value)
  if (text !== "") element.textContent = text
  return element
}

export const element = (name, className = "", ...content) => {
  const made = document.createElement(name)
  if (className) made.className = className
  made.append(...content)
  return made
}

// short formats a number in few characters: 950, 12.3k, 4.1M.
export const short = (value) => {
  if (value === null || value === undefined) return "–"
  const size = Math.abs(value)
  for (const [unit, from] of [["G", 1e9], ["M", 1e6], ["k", 1e4]]) {
    const divisor = unit === "k" ? 1e3 : from
    if (size >= from) return trimmed(value / divisor) + unit
  }
  return trimmed(value)
}
const trimmed = (value) => {
  const size = Math.abs(value)
  return size >= 100 || Number.isInteger(value) ? Math.round(value).toString() : value.toFixed(size >= 10 ? 1 : 2).replace(/\.?0+$/, "")
}
export const milliseconds = (value) => value === null || value === undefined ? "–" : value >= 1000 ? `${trimmed(value / 1000)} s` : `${trimmed(value)} ms`
export const percent = (value) => value === null || value === undefined ? "–" : `${trimmed(100 * value)} %`
export const bytes = (value) => value >= 2 ** 30 ? `${trimmed(value / 2 ** 30)} GiB` : `${trimmed(value / 2 ** 20)} MiB`

const left = 50, bottom = 15, top = 5 // of the plot, in pixels
const maxPause = 5000 // milliseconds between two points that a line connects

// ceiling returns the lowest of 1, 2, 5, 10, … that is not below value.
const ceiling = (value, least) => {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, least)))
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= Math.max(value, least) * .999)
}

export class Chart {
  constructor({ title, series, format = short, least = 1, unit = 1 }) {
    Object.assign(this, { series, format, least, unit })
    this.figures = series.map(() => element("b"))
    const legend = element("div", "legend")
    series.forEach(([, name], i) => legend.append(element("div", "", this.figures[i], element("span", `s${i}`, element("i"), element("span", "", name)))))
    this.plot = svg("svg", { class: "chart", role: "img" })
    this.title = title
    this.card = element("article", "", element("h2", "", title), legend, this.plot)
  }

  // draw shows the points between `from` and `until`, and the figures of the point `at`.
  draw(points, from, until, at) {
    this.series.forEach(([key], i) => { this.figures[i].textContent = at ? this.format(at[key]) : "–" })
    this.plot.setAttribute("aria-label", `${this.title}: ${this.series.map(([, name], i) => `${name} ${this.figures[i].textContent}`).join(", ")}`)
    const width = this.plot.clientWidth, height = this.plot.clientHeight
    if (!width) return
    this.plot.setAttribute("viewBox", `0 0 ${width} ${height}`)
    let highest = 0
    for (const point of points) for (const [key] of this.series) highest = Math.max(highest, point[key] ?? 0)
    const most = ceiling(highest / this.unit, this.least) * this.unit
    const x = (time) => left + (width - left - 2) * (time - from) / (until - from)
    const y = (value) => top + (height - top - bottom) * (1 - value / most)
    const drawn = []
    for (const part of [0, .5, 1]) {
      drawn.push(svg("line", { class: "grid", x1: left, x2: width, y1: y(most * part), y2: y(most * part) }))
      drawn.push(svg("text", { x: left - 6, y: y(most * part) + 4, "text-anchor": "end" }, this.format(most * part)))
    }
    const minutes = (until - from) / 60000
    drawn.push(svg("text", { x: left, y: height - 2 }, minutes >= 2 ? `${Math.round(minutes)} minutes ago` : `${Math.round(minutes * 60)} s ago`))
    drawn.push(svg("text", { x: width - 2, y: height - 2, "text-anchor": "end" }, "now"))
    this.series.forEach(([key], i) => {
      let line = "", area = "", first = 0, before = null
      const close = () => { if (before !== null && i === 0) area += `L${x(before)} ${y(0)}L${first} ${y(0)}Z` }
      for (const point of points) {
        const value = point[key]
        if (value === null || value === undefined) { close(); before = null; continue }
        const joined = before !== null && point.at - before < maxPause
        if (!joined) { close(); first = x(point.at).toFixed(1) }
        const place = `${x(point.at).toFixed(1)} ${y(value).toFixed(1)}`
        line += joined ? `L${place}` : `M${place}h.1`
        if (i === 0) area += (joined ? "L" : "M") + place
        before = point.at
      }
      close()
      if (i === 0) drawn.push(svg("path", { class: "area s0", d: area }))
      drawn.push(svg("path", { class: `s${i}`, d: line, "data-series": key }))
    })
    if (at && at !== points.at(-1)) drawn.push(svg("line", { class: "cursor", x1: x(at.at), x2: x(at.at), y1: top, y2: height - bottom }))
    this.plot.replaceChildren(...drawn)
  }

  // place returns where on the time axis a pointer is, from 0 to 1.
  place(event) {
    const box = this.plot.getBoundingClientRect()
    return Math.min(1, Math.max(0, (event.clientX - box.left - left) / (box.width - left - 2)))
  }
}
