// The callbacks of subscriptions. Run as: node subscriptions.mjs VERSION HOST:PORT APPLICATION
import { Page, atLeast, equal, repeats, run, sleep, until } from "./client.mjs"

// case 143
async function connectsOnce() {
  const page = new Page("once")
  const echo = page.subscribe("EchoChannel")
  await until("connected", () => echo.connected.length)
  const sent = page.sent("subscribe").length
  await sleep(5)
  equal("connected", echo.connected.length, 1)
  equal("subscribe on the wire after the confirmation", page.sent("subscribe").length, sent)
}

// case 144
async function performsAndSends() {
  const page = new Page("performs")
  const echo = page.subscribe("EchoChannel")
  await until("connected", () => echo.connected.length)
  echo.subscription.perform("echo", { n: 1 })
  await until("the echo", () => echo.received.length === 1)
  equal("echo", JSON.stringify(echo.received[0]), '{"n":1,"action":"echo"}')
  echo.subscription.send({ n: 2 })
  await until("receive", () => echo.received.length === 2)
  equal("receive", JSON.stringify(echo.received[1]), '{"receive":{"n":2}}')
}

// case 145
async function isRejectedOnce() {
  const page = new Page("rejected")
  const channel = page.subscribe("RejectChannel")
  await until("rejected", () => channel.rejected.length)
  const sent = page.sent("subscribe").length
  await sleep(2)
  equal("rejected", channel.rejected.length, 1)
  equal("connected", channel.connected.length, 0)
  equal("subscribe on the wire after the rejection", page.sent("subscribe").length, sent)
}

// case 149
async function subscribesAgainInTheSameTick() {
  const page = new Page("again")
  const first = page.subscribe("EchoChannel")
  await until("connected", () => first.connected.length)
  first.subscription.unsubscribe()
  const second = page.subscribe("EchoChannel")
  await until("connected again", () => second.connected.length)
  second.subscription.perform("echo")
  await until("the echo", () => second.received.length)
  equal("connected on the first object", first.connected.length, 1)
}

// case 150
async function confirmsTwoSubscriptionsWithOneIdentifierOnce() {
  const page = new Page("twins")
  const first = page.subscribe("EchoChannel")
  await until("connected", () => first.connected.length)
  const sent = page.sent("subscribe").length
  const second = page.subscribe("EchoChannel")
  await sleep(3)
  equal("connected on the second object", second.connected.length, 0)
  equal("confirmations", page.received("confirm_subscription").length, 1)
  if (repeats) await until("the client repeats its subscribe", () => page.sent("subscribe").length >= sent + 3)
  second.subscription.perform("echo")
  await until("the echo on both", () => first.received.length && second.received.length)
}

// case 151
async function subscribesBeforeTheWelcome() {
  const page = new Page("early", "&sleep=1.2")
  const echo = page.subscribe("EchoChannel")
  await until("connected", () => echo.connected.length)
  await sleep(1)
  equal("connected", echo.connected.length, 1)
  equal("confirmations", page.received("confirm_subscription").length, 1)
}

// case 155
async function offersATokenAsSubprotocol() {
  if (!atLeast("7.1")) return
  const page = new Page("token")
  page.consumer.addSubProtocol("tok.abc")
  const echo = page.subscribe("EchoChannel")
  await until("connected", () => echo.connected.length)
  equal("sub-protocol", page.sockets.at(-1).protocol, "actioncable-v1-json")
}

run([connectsOnce, performsAndSends, isRejectedOnce, subscribesAgainInTheSameTick, confirmsTwoSubscriptionsWithOneIdentifierOnce, subscribesBeforeTheWelcome, offersATokenAsSubprotocol])
