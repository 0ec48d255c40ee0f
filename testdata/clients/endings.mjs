// What becomes of a client whose connection is refused or ended. Run as: node endings.mjs VERSION HOST:PORT APPLICATION
import { Page, atLeast, broadcast, equal, run, sleep, until } from "./client.mjs"

const disconnectTopic = user => `action_cable/${Buffer.from(`gid://app/User/${user}`).toString("base64url")}`

// case 146
async function unauthorizedStaysAway() {
  const page = new Page("unauthorized", "&mode=reject")
  const echo = page.subscribe("EchoChannel")
  if (!atLeast("6.0")) return // it comes back for ever, as it does to Rails
  await until("disconnected", () => echo.disconnected.length)
  equal("willAttemptReconnect", echo.disconnected[0].willAttemptReconnect, false)
  await sleep(30)
  equal("sockets", page.sockets.length, 1)
}

// case 147
async function comesBackAfterARemoteDisconnect() {
  const page = new Page("comesback")
  const echo = page.subscribe("EchoChannel")
  await until("connected", () => echo.connected.length)
  await sleep(0.5)
  await broadcast(disconnectTopic(page.user), { type: "disconnect", reconnect: true })
  await until("disconnected", () => echo.disconnected.length)
  if (atLeast("6.0")) equal("willAttemptReconnect", echo.disconnected[0].willAttemptReconnect, true)
  await until("connected again", () => echo.connected.length === 2, 25)
  if (atLeast("7.1")) equal("reconnected", echo.connected[1].reconnected, true)
}

// case 148
async function staysAwayAfterARemoteDisconnect() {
  if (!atLeast("6.0")) return
  const page = new Page("staysaway")
  const echo = page.subscribe("EchoChannel")
  await until("connected", () => echo.connected.length)
  await sleep(0.5)
  await broadcast(disconnectTopic(page.user), { type: "disconnect", reconnect: false })
  await until("disconnected", () => echo.disconnected.length)
  equal("willAttemptReconnect", echo.disconnected[0].willAttemptReconnect, false)
  await sleep(25)
  equal("sockets", page.sockets.length, 1)
}

// case 154
async function aRefusedHandshakeIsRetried() {
  const page = new Page("refused", "&origin=http://evil.example")
  const echo = page.subscribe("EchoChannel")
  await until("two attempts", () => page.sockets.length >= 2, 30)
  for (const callback of ["connected", "received", "rejected"]) equal(callback, echo[callback].length, 0)
}

run([unauthorizedStaysAway, comesBackAfterARemoteDisconnect, staysAwayAfterARemoteDisconnect, aRefusedHandshakeIsRetried])
