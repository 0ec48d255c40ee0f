// After the line "connected" the caller stops the server and starts it again. The server closes without a disconnect
// frame, as native Rails does when it stops, because the client of Rails 5.2 throws on that frame.
// Run as: node goodbye.mjs VERSION HOST:PORT APPLICATION
import { Page, equal, run, until } from "./client.mjs"

async function reconnectsWithoutADisconnectFrame() {
  const page = new Page("goodbye")
  const echo = page.subscribe("EchoChannel")
  await until("connected", () => echo.connected.length)
  console.log("connected")
  await until("connected again", () => echo.connected.length === 2)
  equal("disconnect frames", page.received("disconnect").length, 0)
}

run([reconnectsWithoutADisconnectFrame])
