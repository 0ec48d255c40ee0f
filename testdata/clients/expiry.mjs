// What becomes of a page at the end of its token. Run as: node expiry.mjs VERSION HOST:PORT APPLICATION TOKEN FRESH_TOKEN
import process from "node:process"
import { Page, equal, run, until } from "./client.mjs"

const [token, fresh] = process.argv.slice(5)

// With a fixed URL it comes back with the same token, is refused, and stays away.
async function aFixedURLIsRefusedForGood() {
  const page = new Page("fixed", `&token=${token}`)
  const echo = page.subscribe("EchoChannel")
  await until("connected", () => echo.connected.length)
  await until("disconnected twice", () => echo.disconnected.length === 2)
  equal("willAttemptReconnect at exp", echo.disconnected[0].willAttemptReconnect, true)
  equal("willAttemptReconnect with the old token", echo.disconnected[1].willAttemptReconnect, false)
  equal("reasons", page.heard("disconnect").map(frame => frame.reason).join(), "token_expired,unauthorized")
}

// With a function it brings the token that there is then.
async function aFunctionBringsTheTokenOfTheDay() {
  let current = token
  const page = new Page("function", () => `&token=${current}`)
  const echo = page.subscribe("EchoChannel")
  await until("connected", () => echo.connected.length)
  current = fresh
  await until("connected again", () => echo.connected.length === 2)
  equal("reasons", page.heard("disconnect").map(frame => frame.reason).join(), "token_expired")
}

// One that was late can still go on: it is told that it is left alone.
async function whoWasRefusedCanAskAgain() {
  let current = token
  const page = new Page("late", () => `&token=${current}`)
  const echo = page.subscribe("EchoChannel")
  echo.subscription.disconnected = ({ willAttemptReconnect }) => {
    if (willAttemptReconnect) return
    current = fresh
    page.consumer.connect()
  }
  await until("connected", () => echo.connected.length)
  await until("connected again", () => echo.connected.length === 2)
}

run([aFixedURLIsRefusedForGood, aFunctionBringsTheTokenOfTheDay, whoWasRefusedCanAskAgain])
