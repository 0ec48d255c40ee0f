// @anycable/core, unmodified, in its plain mode (actioncable-v1-json).
// Run as: node anycable.mjs HOST:PORT APPLICATION
import { createRequire } from "node:module"
import process from "node:process"
import { equal, sleep, succeed, until } from "./scenarios.mjs"

const [server, application] = process.argv.slice(2)
const npm = new URL("../npm/", import.meta.url)
const WebSocket = createRequire(npm)("ws")
const { createCable, createConsumer } = await import(new URL("node_modules/@anycable/core/index.js", npm))

// A browser's WebSocket that records its messages.
class PageSocket extends WebSocket {
  constructor(url, protocols) {
    super(url, protocols, { origin: `http://${server}` })
    Object.assign(this, { sent: [], received: [] })
    this.addEventListener("message", ({ data }) => this.received.push(JSON.parse(data)))
    sockets.push(this)
  }

  send(text) {
    this.sent.push(JSON.parse(text))
    super.send(text)
  }
}

const sockets = []
const complaints = []
const complain = level => (text, details) => {
  if (details?.identifier !== "RejectChannel") complaints.push(`${level}: ${text} ${JSON.stringify(details ?? "")}`)
}
const logger = { debug() {}, info() {}, warn: complain("warn"), error: complain("error"), log() {} }
const options = { websocketImplementation: PageSocket, logger, reconnectStrategy: () => 200 }
const url = user => `ws://${server}/cable?uid=${user}`

const post = (path, body) => fetch(`${application}${path}`, { method: "POST", body: JSON.stringify(body) })
const of = user => sockets.filter(socket => new URL(socket.url).searchParams.get("uid") === user)
const commands = user => of(user).flatMap(socket => socket.sent).map(({ command }) => command)

// The messages and events of a channel.
function watch(channel) {
  const seen = { messages: [], connects: [], disconnects: [], closes: [] }
  channel.on("message", message => seen.messages.push(message))
  channel.on("connect", event => seen.connects.push(event.reconnect))
  channel.on("disconnect", event => seen.disconnects.push(event?.reason))
  channel.on("close", event => seen.closes.push(event?.reason ?? null))
  return seen
}

async function subscribesPerformsAndReceives() {
  const cable = createCable(url("talks"), options)
  const echo = cable.subscribeTo("EchoChannel", { room: 1 })
  const seen = watch(echo)
  await echo.ensureSubscribed()
  await echo.perform("echo", { n: 1 })
  await until("the echo", () => seen.messages.length === 1)
  equal("the echo", seen.messages, [{ n: 1, action: "echo" }])
  await echo.send({ n: 2 })
  await until("receive", () => seen.messages.length === 2)

  const stream = cable.subscribeTo("StreamChannel", { s: ["anycable"] })
  const streamed = watch(stream)
  await stream.ensureSubscribed()
  await post("/broadcast", { stream: "anycable", message: { n: 3 } })
  await until("the broadcast", () => streamed.messages.length === 1)
  equal("the broadcast", streamed.messages, [{ n: 3 }])
  equal("sub-protocol", of("talks")[0].protocol, "actioncable-v1-json")

  stream.disconnect()
  await until("the unsubscribe", () => commands("talks").includes("unsubscribe"))
  await cable.subscribeTo("EchoChannel", { room: 2 }).ensureSubscribed() // the unsubscribe has run before this is confirmed
  await post("/broadcast", { stream: "anycable", message: { n: 4 } })
  const again = cable.subscribeTo("StreamChannel", { s: ["anycable"] })
  const newSeen = watch(again)
  await again.ensureSubscribed()
  await post("/broadcast", { stream: "anycable", message: { n: 5 } })
  await until("the broadcast to the new channel", () => newSeen.messages.length)
  equal("after the unsubscribe", [streamed.messages.length, newSeen.messages], [1, [{ n: 5 }]])
  cable.disconnect()
}

async function isRejected() {
  const cable = createCable(url("rejected"), options)
  const channel = cable.subscribeTo("RejectChannel")
  const seen = watch(channel)
  const error = await channel.ensureSubscribed().then(() => null, error => error)
  equal("the error", error?.name, "SubscriptionRejectedError")
  equal("closes", seen.closes.length, 1)
  await sleep(1)
  equal("commands", commands("rejected"), ["subscribe"])
  cable.disconnect()
}

async function twoChannelsWithOneIdentifierShareASubscription() {
  const cable = createCable(url("shares"), options)
  const first = cable.subscribeTo("EchoChannel"), second = cable.subscribeTo("EchoChannel")
  const seen = [watch(first), watch(second)]
  await Promise.all([first.ensureSubscribed(), second.ensureSubscribed()])
  await first.perform("echo", { n: 1 })
  await until("the echo on both", () => seen.every(({ messages }) => messages.length === 1))
  equal("commands", commands("shares"), ["subscribe", "message"])
  cable.disconnect()
}

async function reconnectsAfterARemoteDisconnect() {
  const cable = createCable(url("returns"), options)
  const stream = cable.subscribeTo("StreamChannel", { s: ["returns"] })
  const seen = watch(stream)
  await stream.ensureSubscribed()
  await post("/broadcast", { stream: topic("returns"), message: { type: "disconnect", reconnect: true } })
  await until("connected again", () => seen.connects.length === 2)
  equal("connects", seen.connects, [false, true])
  equal("disconnects", seen.disconnects, ["remote"])
  await post("/broadcast", { stream: "returns", message: { n: 1 } })
  await until("the broadcast", () => seen.messages.length === 1)
  cable.disconnect()
}

async function doesNotReconnectWhenToldNotTo() {
  const cable = createCable(url("stays"), options)
  const closes = []
  cable.on("close", event => closes.push(event?.reason))
  await cable.subscribeTo("EchoChannel").ensureSubscribed()
  await post("/broadcast", { stream: topic("stays"), message: { type: "disconnect", reconnect: false } })
  await until("closed", () => closes.length)
  equal("closes", closes, ["remote"])
  await sleep(2)
  equal("sockets", of("stays").length, 1)
}

async function doesNotReconnectWhenUnauthorized() {
  const cable = createCable(`${url("unauthorized")}&mode=reject`, options)
  const error = await cable.connect().then(() => null, error => error)
  equal("the error", error?.reason, "unauthorized")
  await sleep(1)
  equal("sockets", of("unauthorized").length, 1)
}

async function reconnectsAfterALostSocket() {
  const cable = createCable(url("lost"), options)
  const stream = cable.subscribeTo("StreamChannel", { s: ["lost"] })
  const seen = watch(stream)
  await stream.ensureSubscribed()
  of("lost")[0].terminate()
  await until("connected again", () => seen.connects.length === 2)
  await post("/broadcast", { stream: "lost", message: { n: 1 } })
  await until("the broadcast", () => seen.messages.length)
  equal("messages", seen.messages, [{ n: 1 }])
  cable.disconnect()
}

// createConsumer imitates Rails' own consumer.
async function imitatesRailsConsumer() {
  const consumer = createConsumer(url("consumer"), options)
  const received = []
  let connected = 0
  const subscription = consumer.subscriptions.create("EchoChannel", { connected: () => connected++, received: message => received.push(message) })
  await until("connected", () => connected)
  subscription.perform("echo", { n: 1 })
  await until("the echo", () => received.length)
  subscription.unsubscribe()
  await until("the unsubscribe", () => commands("consumer").includes("unsubscribe"))
  consumer.disconnect()
}

// The client takes a connection for dead after two missing pings, and logs whatever it does not know.
async function isQuietWhenIdle() {
  const cable = createCable(url("quiet"), options)
  const echo = cable.subscribeTo("EchoChannel")
  const seen = watch(echo)
  await echo.ensureSubscribed()
  await sleep(8)
  equal("connects", seen.connects, [false])
  equal("commands", commands("quiet"), ["subscribe"])
  equal("frames besides pings", of("quiet")[0].received.map(({ type }) => type).filter(type => type !== "ping"), ["welcome", "confirm_subscription"])
  cable.disconnect()
}

const topic = user => `action_cable/${Buffer.from(`gid://app/User/${user}`).toString("base64url")}`

const scenarios = [subscribesPerformsAndReceives, isRejected, twoChannelsWithOneIdentifierShareASubscription, reconnectsAfterARemoteDisconnect,
  doesNotReconnectWhenToldNotTo, doesNotReconnectWhenUnauthorized, reconnectsAfterALostSocket, imitatesRailsConsumer, isQuietWhenIdle]
const ok = await succeed(scenarios)
for (const complaint of complaints) console.log(`the client logs: ${complaint}`)
process.exit(ok && complaints.length === 0 ? 0 : 1)
