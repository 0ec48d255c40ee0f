// After the line "connected" the caller kills the server and starts it again.
// Run as: node restart.mjs VERSION HOST:PORT APPLICATION
import { Page, broadcast, run, until } from "./client.mjs"

// case 152
async function reconnects() {
  const page = new Page("survivor")
  const echo = page.subscribe("EchoChannel")
  const stream = page.subscribe({ channel: "StreamChannel", s: [page.user] })
  await until("connected", () => echo.connected.length && stream.connected.length)
  console.log("connected")
  await until("connected again", () => echo.connected.length === 2 && stream.connected.length === 2)
  echo.subscription.perform("echo", { n: 1 })
  await until("the echo", () => echo.received.length)
  await broadcast(page.user, { n: 2 })
  await until("the broadcast", () => stream.received.length)
}

run([reconnects])
