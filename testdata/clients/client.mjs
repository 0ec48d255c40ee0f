// Loads one version of Rails' own npm client, unmodified, into Node, and watches what its sockets do.
import { createRequire } from "node:module"
import process from "node:process"

const require = createRequire(new URL("../npm/", import.meta.url))
const WebSocket = require("ws")

export const version = process.argv[2]
export const server = process.argv[3]      // host:port of what speaks Action Cable
export const application = process.argv[4] // URL of the application

const sockets = []

// A browser's WebSocket, as far as the clients see: it sends the Origin of its page, and survives an exception in a
// handler (the 5.2 client throws on a disconnect frame, which it does not know).
class PageSocket extends WebSocket {
  constructor(url, protocols) {
    const origin = new URL(url).searchParams.get("origin") ?? `http://${server}`
    super(url, protocols, { origin })
    this.sent = []
    this.heard = []
    this.addEventListener("message", ({ data }) => this.heard.push(JSON.parse(data)))
    sockets.push(this)
  }

  set onmessage(handler) {
    super.onmessage = event => {
      try {
        handler(event)
      } catch (error) {
        console.error(`uncaught in a handler: ${error}`)
      }
    }
  }

  send(text) {
    this.sent.push(JSON.parse(text))
    super.send(text)
  }
}

// What the clients expect of a page.
globalThis.window = globalThis.self = globalThis
globalThis.WebSocket = PageSocket
globalThis.document = { visibilityState: "visible", addEventListener() {}, removeEventListener() {}, head: { querySelector() {} } }
globalThis.addEventListener = globalThis.removeEventListener = () => {}

const library = require(`actioncable-${version}`)
const ActionCable = library.default ?? library

export function atLeast(wanted) {
  const [major, minor] = version.split(".").map(Number), [wantedMajor, wantedMinor] = wanted.split(".").map(Number)
  return major > wantedMajor || major === wantedMajor && minor >= wantedMinor
}

// The client repeats its subscribes until they are answered since 6.1.5.
export const repeats = atLeast("6.1") && version !== "6.1.4"

// A page has a consumer of its own, and a user of its own, so that scenarios run side by side.
export class Page {
  // query: or a function that returns it anew each time.
  constructor(name, query = "") {
    this.user = `${name}v${version.replaceAll(".", "x")}`
    const url = query => `ws://${server}/cable?uid=${this.user}${query}`
    this.consumer = ActionCable.createConsumer(typeof query === "function" ? () => url(query()) : url(query))
  }

  // The callbacks of a subscription, counted.
  subscribe(params) {
    const calls = { initialized: [], connected: [], disconnected: [], received: [], rejected: [] }
    const mixin = Object.fromEntries(Object.keys(calls).map(name => [name, argument => calls[name].push(argument)]))
    const subscription = this.consumer.subscriptions.create(params, mixin)
    return Object.assign(calls, { subscription, identifier: subscription.identifier })
  }

  get sockets() {
    return sockets.filter(socket => new URL(socket.url).searchParams.get("uid") === this.user)
  }

  sent(command) {
    return this.sockets.flatMap(socket => socket.sent).filter(frame => frame.command === command)
  }

  heard(type) {
    return this.sockets.flatMap(socket => socket.heard).filter(frame => frame.type === type)
  }
}

export const sleep = seconds => new Promise(resolve => setTimeout(resolve, seconds * 1000))

// Seconds: how long a test waits for what must come. See Patience in cmd/catenary/test/stage.
export const patience = Number(process.env.PATIENCE || 60)

// until waits for a condition, and says what it waited for if it never holds.
export async function until(what, condition, seconds = patience) {
  const deadline = Date.now() + seconds * 1000
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`not within ${seconds} s: ${what}`)
    await sleep(0.05)
  }
}

export function equal(what, got, want) {
  if (got !== want) throw new Error(`${what}: ${got} instead of ${want}`)
}

export async function broadcast(stream, message) {
  const response = await fetch(`${application}/broadcast`, { method: "POST", body: JSON.stringify({ stream, message }) })
  if (!response.ok) throw new Error(`the application answered ${response.status}`)
}

// Runs scenarios side by side, one line of output each; the exit status tells whether all went well.
export async function run(scenarios) {
  const results = await Promise.all(scenarios.map(async scenario => {
    try {
      await scenario()
      console.log(`ok ${scenario.name}`)
      return true
    } catch (error) {
      console.log(`not ok ${scenario.name}: ${error.message}`)
      return false
    }
  }))
  process.exit(results.every(Boolean) ? 0 : 1)
}
