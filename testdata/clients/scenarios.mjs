// What the clients' scripts share: waiting, comparing, and running scenarios.
import process from "node:process"

export const sleep = seconds => new Promise(resolve => setTimeout(resolve, seconds * 1000))

// How long a scenario waits for what must come, in seconds. See Patience in cmd/catenary/test/stage.
export const patience = Number(process.env.PATIENCE || 60)

// until waits for a condition, and throws an error with its name if it does not come to hold.
export async function until(what, condition, seconds = patience) {
  const deadline = Date.now() + seconds * 1000
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`not within ${seconds} s: ${what}`)
    await sleep(0.05)
  }
}

// equal compares two values as JSON.
export function equal(what, got, want) {
  if (JSON.stringify(got) !== JSON.stringify(want)) throw new Error(`${what}: got ${JSON.stringify(got)}, want ${JSON.stringify(want)}`)
}

// succeed runs scenarios concurrently, prints a line for each, and returns whether all succeeded.
export async function succeed(scenarios) {
  const results = await Promise.all(scenarios.map(async scenario => {
    try {
      await scenario()
      console.log(`ok ${scenario.name}`)
      return true
    } catch (error) {
      console.log(`not ok ${scenario.name}: ${error.stack}`)
      return false
    }
  }))
  return results.every(Boolean)
}
