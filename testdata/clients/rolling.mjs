// After the line "connected" the caller restarts both nodes behind a load balancer. It broadcasts { n } all the time, and
// { end } at the end.
// Run as: node rolling.mjs VERSION HOST:PORT APPLICATION
import { Page, equal, patience, run, until } from "./client.mjs"

async function followsTheNews() {
  const page = new Page("reader")
  const news = page.subscribe({ channel: "StreamChannel", s: "news" })
  await until("connected", () => news.connected.length)
  console.log("connected")
  await until("disconnected", () => news.disconnected.length, 3 * patience)
  await until("the end of the news", () => news.received.some(({ end }) => end), 5 * patience)

  const numbers = news.received.filter(({ n }) => n).map(({ n }) => n)
  numbers.forEach((n, i) => {
    if (i > 0 && n <= numbers[i - 1]) throw new Error(`number ${n} came after ${numbers[i - 1]}`)
  })
  equal("times connected", news.connected.length, news.disconnected.length + 1)
  equal("disconnects with willAttemptReconnect", news.disconnected.filter(({ willAttemptReconnect }) => willAttemptReconnect).length, news.disconnected.length)
}

run([followsTheNews])
