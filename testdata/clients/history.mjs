// @anycable/core and @anycable/web, unmodified, with actioncable-v1-ext-json: they ask for what they
// have missed.
// Run as: node history.mjs NODE APPLICATION OTHER_NODE PID_OF_NODE LIMIT
import { createRequire } from "node:module"
import process from "node:process"
import { equal, succeed, until } from "./scenarios.mjs"

const [node, application, otherNode, pid, limit] = process.argv.slice(2)
const npm = new URL("../npm/", import.meta.url)
const WebSocket = createRequire(npm)("ws")
const core = await import(new URL("node_modules/@anycable/core/index.js", npm))
const web = await import(new URL("node_modules/@anycable/web/index.js", npm))

const nowhere = "127.0.0.1:1"
const logger = { debug() {}, info() {}, warn() {}, error() {}, log() {} }

// A client whose sockets go to this.node; "nowhere" keeps it away.
class Client {
  constructor(stream, options = {}, { createCable } = core) {
    this.node = node
    this.sockets = []
    const client = this
    class PageSocket extends WebSocket {
      constructor(url, protocols) {
        // as in browsers, every message is a task of its own: the client needs that
        super(url.replace(node, client.node), protocols, { origin: `http://${client.node}`, allowSynchronousEvents: false })
        this.received = []
        this.addEventListener("message", ({ data }) => this.received.push(JSON.parse(data)))
        client.sockets.push(this)
      }
    }
    this.cable = createCable(`ws://${node}/cable?uid=history`, {
      protocol: "actioncable-v1-ext-json", websocketImplementation: PageSocket, logger, reconnectStrategy: () => 200, ...options,
    })
    this.seen = []
    this.infos = []
    this.connects = 0
    this.channel = this.cable.subscribeTo("StreamChannel", { s: stream })
    this.channel.on("message", message => this.seen.push(message.n))
    this.channel.on("info", ({ type }) => this.infos.push(type))
    this.channel.on("connect", () => this.connects++)
    this.stream = stream
  }

  async subscribed(times = 1) {
    await until("subscribed", () => this.connects >= times)
    await until("the answer about history", () => this.infos.length >= times)
  }

  leave() {
    this.node = nowhere
    this.sockets.at(-1).terminate()
  }

  // The numbers from first to last, in order and once.
  async expect(what, first, last) {
    const wanted = Array.from({ length: last - first + 1 }, (_, i) => first + i)
    await until(`${what}: number ${last}`, () => this.seen.includes(last))
    equal(what, this.seen, wanted)
  }
}

async function broadcast(stream, first, last) {
  for (let n = first; n <= last; n++) {
    const response = await fetch(`${application}/broadcast`, { method: "POST", body: JSON.stringify({ stream, message: { n } }) })
    if (!response.ok) throw new Error(`the application answered ${response.status}`)
  }
}

async function receives200OnTheOtherNode() {
  const client = new Client("chat:200", {}, web)
  await client.subscribed()
  equal("sub-protocol", client.sockets[0].protocol, "actioncable-v1-ext-json")
  await broadcast(client.stream, 1, 3)
  await client.expect("live", 1, 3)
  client.leave()
  await broadcast(client.stream, 4, 203)
  client.node = otherNode
  await client.subscribed(2)
  await broadcast(client.stream, 204, 206)
  await client.expect("after 200 were missed", 1, 206)
  equal("answers", client.infos, ["history_received", "history_received"])
  client.cable.disconnect()
}

// The client changes nodes three times while the application broadcasts.
async function missesNothingUnderTraffic() {
  const client = new Client("chat:traffic")
  await client.subscribed()
  const traffic = broadcast(client.stream, 1, 150)
  for (let round = 1; round <= 3; round++) {
    await until("traffic", () => client.seen.length >= 30 * round)
    client.node = round % 2 ? otherNode : node
    client.sockets.at(-1).terminate()
    await client.subscribed(round + 1)
  }
  await traffic
  await client.expect("under traffic", 1, 150)
  client.cable.disconnect()
}

async function isToldThatNotAllIsKept() {
  const client = new Client("chat:many")
  await client.subscribed()
  await broadcast(client.stream, 1, 1)
  await client.expect("live", 1, 1)
  client.leave()
  await broadcast(client.stream, 2, Number(limit) + 3)
  client.node = otherNode
  await client.subscribed(2)
  equal("answers", client.infos, ["history_received", "history_not_found"])
  await broadcast(client.stream, 0, 0)
  await until("the next", () => client.seen.includes(0))
  equal("nothing of it is sent", client.seen, [1, 0])
  client.cable.disconnect()
}

async function aStreamWithoutHistoryIsRejected() {
  const client = new Client("other")
  await client.subscribed()
  equal("answers", client.infos, ["history_not_found"])
  await broadcast(client.stream, 1, 2)
  await client.expect("live", 1, 2)
  equal("numbers", client.sockets[0].received.filter(frame => frame.offset), [])
  client.cable.disconnect()
}

async function sendsPongs() {
  const client = new Client("chat:pongs", { pongs: true })
  await client.subscribed()
  await until("two pings", () => client.sockets[0].received.filter(frame => frame.type === "ping").length >= 2)
  equal("connects", client.connects, 1)
  client.cable.disconnect()
}

// Runs last: it kills a node.
async function aNodeDies() {
  const client = new Client("chat:death")
  await client.subscribed()
  await broadcast(client.stream, 1, 3)
  await client.expect("live", 1, 3)
  client.node = otherNode
  process.kill(Number(pid), "SIGKILL")
  await broadcast(client.stream, 4, 20)
  await client.subscribed(2)
  await broadcast(client.stream, 21, 22)
  await client.expect("after a node has died", 1, 22)
  client.cable.disconnect()
}

const ok = await succeed([receives200OnTheOtherNode, missesNothingUnderTraffic, isToldThatNotAllIsKept, aStreamWithoutHistoryIsRejected, sendsPongs])
const lived = ok && await succeed([aNodeDies])
process.exit(ok && lived ? 0 : 1)
