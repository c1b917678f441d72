/** Events are found in whatever a file or a pipe holds, and cut out of it as they were written. */
import assert from "node:assert/strict"
import test from "node:test"
import { type EventText, eventText, eventTexts, type Making } from "../../src/commands/event-texts.ts"

const events: Making = { kind: "events", members: {} }
const data: Making = { kind: "data", members: { type: "order.created" } }

/** Reads a text in pieces of so many bytes. */
async function read(text: string | Uint8Array, making = events, pieceBytes = 7): Promise<EventText[][]> {
  const bytes = Buffer.from(text)
  async function* pieces() {
    for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes)
  }
  const found: EventText[][] = []
  for await (const texts of eventTexts(pieces(), making)) if (texts.length > 0) found.push(texts)
  return found
}

async function textsIn(text: string | Uint8Array, making = events): Promise<string[]> {
  return (await read(text, making))
    .flat()
    .map(found => (found.kind === "event" ? found.text : `${found.place}: ${found.message}`))
}

test("JSON lines, a list, one value over many lines and values one after another hold the same events", async () => {
  const one = '{"type":"a","data":{"n":1.0,"n":12345678901234567890}}'
  const two = '{ "type": "b" }'
  const forms = [
    `${one}\n${two}\n`,
    `${one}\r\n\r\n${two}`,
    `[${one},${two}]`,
    `  [\n ${one} ,\n ${two} ] \n`,
    `${one} ${two}`,
    `\ufeff${one}\n${two}`,
    `\ufeff[${one},${two}]`,
  ]
  for (const form of forms) assert.deepEqual(await textsIn(form), [one, two], form)
  const spread = '{\n  "type": "a"\n}\n{\n  "type": "b"\n}\n'
  assert.deepEqual(await textsIn(spread), ['{\n  "type": "a"\n}', '{\n  "type": "b"\n}'])
})

test("lines that are complete are given while more of them come in", async () => {
  const line = '{"type":"a"}\n'
  const found = await read(line.repeat(3), events, line.length)
  assert.deepEqual(
    found.map(texts => texts.map(({ place }) => place)),
    [["line 1"], ["line 2"], ["line 3"]],
  )
})

test("a broken line is named with its number, and the others are still found", async () => {
  assert.deepEqual(await textsIn('{"type":"a"}\n\n{"type":\n[1]\n{"type":"b"}'), [
    '{"type":"a"}',
    "line 3: This is not JSON: it ends before it is complete: a quote or a bracket is not closed.",
    'line 4: An event is an object, { "type": …, "data": … }, but this is a list. To send it as data, add --type.',
    '{"type":"b"}',
  ])
  assert.deepEqual(await textsIn('{broken}\n{"type":"b"}\n'), [
    "line 1: This is not JSON: column 2: b cannot stand here.",
    '{"type":"b"}',
  ])
})

test("a line that is not UTF-8 is named, too", async () => {
  const bytes = Buffer.concat([Buffer.from('{"type":"a"}\n"'), Buffer.from([0xff]), Buffer.from('"\n{"type":"b"}\n')])
  assert.deepEqual(await textsIn(bytes), [
    '{"type":"a"}',
    "line 2: This is not JSON: it is not UTF-8, which JSON has to be.",
    '{"type":"b"}',
  ])
})

test("a list that is broken is not sent at all", async () => {
  const [only, ...more] = await textsIn('[{"type":"a"},{"type":]')
  assert.match(only ?? "", /^event 1: This is not JSON: line 1, column 23: \] cannot stand here/)
  assert.deepEqual(more, [])
})

test("nothing at all holds no events", async () => {
  assert.deepEqual(await read(""), [])
  assert.deepEqual(await read(" \n\n"), [])
})

test("with a type, each value is the data of one event, as it was written", async () => {
  assert.deepEqual(await textsIn('{"n": 1.0}\n null \n[1,2]\n"text"', data), [
    '{"type":"order.created","data":{"n": 1.0}}',
    '{"type":"order.created","data":null}',
    '{"type":"order.created","data":[1,2]}',
    '{"type":"order.created","data":"text"}',
  ])
})

test("options fill in what an event lacks, and never what it says itself", () => {
  const making: Making = { kind: "events", members: { app: "ios", environment: "sandbox" } }
  const textOf = (text: string) => {
    const found = eventText(text, "here", making)
    return found.kind === "event" ? found.text : found.message
  }
  assert.equal(textOf('{"type":"a","app":"web"}'), '{"environment":"sandbox","type":"a","app":"web"}')
  assert.equal(textOf(' {"type":"a"} '), '{"app":"ios","environment":"sandbox","type":"a"}')
  assert.equal(textOf("{ }"), '{"app":"ios","environment":"sandbox" }')
  assert.equal(textOf('{"app":null,"environment":null}'), '{"app":null,"environment":null}')
})
