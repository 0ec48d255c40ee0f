// A minute on one connection: pings alone keep a client connected, and 20 messages a second, which the caller publishes
// on the stream "flow", do not delay the pings. Run as: node idle.mjs VERSION HOST:PORT APPLICATION
import { Page, equal, run, sleep, until } from "./client.mjs"

// case 153
async function staysConnectedWhenIdle() {
  const page = new Page("idles")
  const echo = page.subscribe("EchoChannel")
  await until("connected", () => echo.connected.length)
  await sleep(60)
  equal("sockets", page.sockets.length, 1)
  equal("disconnected", echo.disconnected.length, 0)
}

// case 153
async function staysConnectedWhenBusy() {
  const page = new Page("busy")
  const stream = page.subscribe({ channel: "StreamChannel", s: ["flow"] })
  await until("connected", () => stream.connected.length)
  await sleep(60)
  equal("sockets", page.sockets.length, 1)
  equal("disconnected", stream.disconnected.length, 0)
  await until("half of the messages of a minute", () => stream.received.length >= 600)
}

run([staysConnectedWhenIdle, staysConnectedWhenBusy])
