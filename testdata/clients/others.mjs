// Broadcasts that leave out the page that causes them. The application has the gem.
// Run as: node others.mjs VERSION HOST:PORT APPLICATION
import { Page, application, equal, run, server, until, version } from "./client.mjs"

const own = new URL(application).host // where the application's own Action Cable is

// Does what docs/others.md asks of a page: sends a token with its cable and its requests.
class Tab extends Page {
  constructor(name, token = crypto.randomUUID(), host = server) {
    super(name, `&catenary_page=${token}&origin=http://${host}`, host)
    this.token = token
  }

  async broadcast(stream, message, others = true) {
    const response = await fetch(`${application}/broadcast`, {
      method: "POST", headers: { "X-Catenary-Page": this.token }, body: JSON.stringify({ stream, message, others }),
    })
    if (!response.ok) throw new Error(`the application answered ${response.status}`)
  }
}

// Three pages with the same subscription: the author's, another, and one at the application's own Action Cable.
async function threeTabs(name, params, token) {
  const tabs = [new Tab(`${name}author`, token), new Tab(`${name}reader`), new Tab(`${name}native`, undefined, own)]
  for (const tab of tabs) tab.calls = tab.subscribe(params)
  await until("subscribed", () => tabs.every(tab => tab.calls.connected.length))
  return tabs
}

// Compares messages in any order: Rails' own server may change it.
async function received(tabs, what, ...wanted) {
  const sorted = messages => messages.map(message => JSON.stringify(message)).sort()
  for (const [n, tab] of tabs.entries()) {
    await until(`${what}: page ${n} has ${wanted[n].length} messages`, () => tab.calls.received.length >= wanted[n].length)
    equal(`${what}: page ${n}`, sorted(tab.calls.received), sorted(wanted[n]))
  }
}

async function aPageDoesNotReceiveWhatItCauses() {
  const stream = `others ${version}`
  const tabs = await threeTabs("others", { channel: "StreamChannel", s: stream })
  const [author, reader] = tabs
  await author.broadcast(stream, { n: 1 })
  await reader.broadcast(stream, { n: 2 })
  await author.broadcast(stream, { n: 3 }, false)
  await received(tabs, "others", [{ n: 2 }, { n: 3 }], [{ n: 1 }, { n: 3 }], [{ n: 1 }, { n: 2 }, { n: 3 }])
}

async function turboStreamsToo() {
  const name = `turbo others ${version}`
  const signed = await (await fetch(`${application}/signed_name?name=${encodeURIComponent(name)}`)).text()
  const tabs = await threeTabs("turbo", { channel: "Turbo::StreamsChannel", signed_stream_name: signed })
  const [author] = tabs
  await author.broadcast(name, `<turbo-stream action="append">1</turbo-stream>`)
  await author.broadcast(name, `<turbo-stream action="append">2</turbo-stream>`, false)
  const both = [1, 2].map(n => `<turbo-stream action="append">${n}</turbo-stream>`)
  await received(tabs, "Turbo", both.slice(1), both, both)
}

async function anActionCanLeaveOutItsOwnPage() {
  const tabs = await threeTabs("action", { channel: "OrderChannel", s: `action others ${version}` })
  const [author] = tabs
  author.calls.subscription.perform("speak_to_others", { n: 1 })
  author.calls.subscription.perform("speak", { n: 2 })
  const rest = [{ said: 1 }, { said: 2 }]
  await received(tabs, "an action", [{ ack: 1 }, { ack: 2 }, { said: 2 }], rest, rest)
}

// A token that is short enough to be guessed does not count.
async function withoutAValidTokenEverybodyReceives() {
  const stream = `short ${version}`
  const tabs = await threeTabs("short", { channel: "StreamChannel", s: stream }, "short")
  await tabs[0].broadcast(stream, { n: 1 })
  await received(tabs, "a short token", [{ n: 1 }], [{ n: 1 }], [{ n: 1 }])
}

await run([aPageDoesNotReceiveWhatItCauses, turboStreamsToo, anActionCanLeaveOutItsOwnPage, withoutAValidTokenEverybodyReceives])
