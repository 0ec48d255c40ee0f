// What a client does when its connection is rejected or closed. Run as: node endings.mjs VERSION HOST:PORT APPLICATION
import { Page, atLeast, broadcast, equal, run, sleep, until } from "./client.mjs"

const disconnectTopic = user => `action_cable/${Buffer.from(`gid://app/User/${user}`).toString("base64url")}`

// case 146
async function doesNotReconnectWhenUnauthorized() {
  const page = new Page("unauthorized", "&mode=reject")
  const echo = page.subscribe("EchoChannel")
  if (!atLeast("6.0")) return // it reconnects forever, with Rails too
  await until("disconnected", () => echo.disconnected.length)
  equal("willAttemptReconnect", echo.disconnected[0].willAttemptReconnect, false)
  await sleep(30)
  equal("sockets", page.sockets.length, 1)
}

// case 147
async function reconnectsAfterARemoteDisconnect() {
  const page = new Page("comesback")
  const stream = page.subscribe({ channel: "StreamChannel", s: [page.user] }) // live later than the topic for remote disconnects
  await until("connected", () => stream.connected.length)
  await broadcast(disconnectTopic(page.user), { type: "disconnect", reconnect: true })
  await until("disconnected", () => stream.disconnected.length)
  if (atLeast("6.0")) equal("willAttemptReconnect", stream.disconnected[0].willAttemptReconnect, true)
  await until("connected again", () => stream.connected.length === 2)
  if (atLeast("7.1")) equal("reconnected", stream.connected[1].reconnected, true)
}

// case 148
async function doesNotReconnectWhenToldNotTo() {
  if (!atLeast("6.0")) return
  const page = new Page("staysaway")
  const stream = page.subscribe({ channel: "StreamChannel", s: [page.user] }) // live later than the topic for remote disconnects
  await until("connected", () => stream.connected.length)
  await broadcast(disconnectTopic(page.user), { type: "disconnect", reconnect: false })
  await until("disconnected", () => stream.disconnected.length)
  equal("willAttemptReconnect", stream.disconnected[0].willAttemptReconnect, false)
  await sleep(25)
  equal("sockets", page.sockets.length, 1)
}

// case 154
async function retriesARejectedHandshake() {
  const page = new Page("refused", "&origin=http://evil.example")
  const echo = page.subscribe("EchoChannel")
  await until("two attempts", () => page.sockets.length >= 2)
  for (const callback of ["connected", "received", "rejected"]) equal(callback, echo[callback].length, 0)
}

run([doesNotReconnectWhenUnauthorized, reconnectsAfterARemoteDisconnect, doesNotReconnectWhenToldNotTo, retriesARejectedHandshake])
