// The server is told to stop, and started again by the caller, after the line "connected". It says nothing before it closes, as
// a native Rails does when it stops: the client of Rails 5.2 throws at the frame of later versions.
// Run as: node goodbye.mjs VERSION HOST:PORT APPLICATION
import { Page, equal, run, until } from "./client.mjs"

async function survivesTheGoodbye() {
  const page = new Page("goodbye")
  const echo = page.subscribe("EchoChannel")
  await until("connected", () => echo.connected.length)
  console.log("connected")
  await until("connected again", () => echo.connected.length === 2)
  equal("disconnect frames", page.heard("disconnect").length, 0)
}

run([survivesTheGoodbye])
