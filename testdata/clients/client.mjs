// Loads one version of Rails' own npm client, unmodified, into Node, and records what its sockets do.
import { createRequire } from "node:module"
import process from "node:process"
import { succeed } from "./scenarios.mjs"

export { equal, patience, sleep, until } from "./scenarios.mjs"

const require = createRequire(new URL("../npm/", import.meta.url))
const WebSocket = require("ws")

export const version = process.argv[2]
export const server = process.argv[3]      // host:port of the Action Cable server
export const application = process.argv[4] // URL of the application

const sockets = []

// A browser's WebSocket as the clients see it. It sends the Origin of its page, and survives an exception in a handler
// (the 5.2 client throws on a disconnect frame, which it does not know).
class PageSocket extends WebSocket {
  constructor(url, protocols) {
    const origin = new URL(url).searchParams.get("origin") ?? `http://${server}`
    super(url, protocols, { origin })
    this.sent = []
    this.received = []
    this.addEventListener("message", ({ data }) => this.received.push(JSON.parse(data)))
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

// Globals that the clients need from a page.
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

// Since 6.1.5 the client repeats a subscribe until it is answered.
export const repeats = atLeast("6.1") && version !== "6.1.4"

// A page has its own consumer and its own user, so that scenarios can run concurrently.
export class Page {
  // query is a string, or a function that is called for every connection. host is where its cable is.
  constructor(name, query = "", host = server) {
    this.user = `${name}v${version.replaceAll(".", "x")}`
    const url = query => `ws://${host}/cable?uid=${this.user}${query}`
    this.consumer = ActionCable.createConsumer(typeof query === "function" ? () => url(query()) : url(query))
  }

  // subscribe returns a subscription and the arguments of its callbacks.
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

  received(type) {
    return this.sockets.flatMap(socket => socket.received).filter(frame => frame.type === type)
  }
}

export async function broadcast(stream, message) {
  const response = await fetch(`${application}/broadcast`, { method: "POST", body: JSON.stringify({ stream, message }) })
  if (!response.ok) throw new Error(`the application answered ${response.status}`)
}

// run runs scenarios concurrently. The exit status is 0 if all succeeded.
export async function run(scenarios) {
  process.exit(await succeed(scenarios) ? 0 : 1)
}
