// What a page does when its token expires.
// Run as: node expiry.mjs VERSION HOST:PORT APPLICATION TOKEN FRESH_TOKEN
import process from "node:process"
import { Page, equal, run, until } from "./client.mjs"

const [token, fresh] = process.argv.slice(5)

// A page with a fixed URL reconnects with the same token, is rejected, and gives up.
async function givesUpWithAFixedURL() {
  const page = new Page("fixed", `&token=${token}`)
  const echo = page.subscribe("EchoChannel")
  await until("connected", () => echo.connected.length)
  await until("disconnected twice", () => echo.disconnected.length === 2)
  equal("willAttemptReconnect at exp", echo.disconnected[0].willAttemptReconnect, true)
  equal("willAttemptReconnect with the old token", echo.disconnected[1].willAttemptReconnect, false)
  equal("reasons", page.received("disconnect").map(frame => frame.reason).join(), "token_expired,unauthorized")
}

// A page with a function as URL reconnects with the current token.
async function reconnectsWithTheCurrentToken() {
  let current = token
  const page = new Page("function", () => `&token=${current}`)
  const echo = page.subscribe("EchoChannel")
  await until("connected", () => echo.connected.length)
  current = fresh
  await until("connected again", () => echo.connected.length === 2)
  equal("reasons", page.received("disconnect").map(frame => frame.reason).join(), "token_expired")
}

// A page that was rejected learns that the client has given up, and can connect again.
async function connectsAgainAfterARejection() {
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

run([givesUpWithAFixedURL, reconnectsWithTheCurrentToken, connectsAgainAfterARejection])
