import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { addressFault, type EgressRules, judgeUrl, parseEgressAllow } from "../../src/transport/guard.ts"
import { refusedUrls, unparsableUrls } from "../help/urls.ts"

const strict: EgressRules = { loopback: false, allow: [] }
const onLoopback: EgressRules = { loopback: true, allow: [] }

function allowing(text: string, loopback = false): EgressRules {
  const reading = parseEgressAllow(text)
  assert.ok(reading.kind === "read")
  return { loopback, allow: reading.allow }
}

function faultOf(url: string, rules: EgressRules = strict): string {
  const judged = judgeUrl(url, rules)
  return judged.kind === "refused" ? judged.fault : "none"
}

describe("a URL is judged before it is saved", () => {
  for (const [url, fault] of [...refusedUrls, ...unparsableUrls]) {
    test(`${url} is refused for its ${fault}`, () => {
      const judged = judgeUrl(url, strict)
      assert.ok(judged.kind === "refused")
      assert.equal(judged.fault, fault)
      assert.match(judged.message, /^\S.*\.$/, "a sentence")
    })
  }

  const accepted: [url: string, href: string][] = [
    ["https://example.com:443/", "https://example.com/"],
    ["https://1.1.1.1/", "https://1.1.1.1/"],
    ["https://[2606:4700::1111]/", "https://[2606:4700::1111]/"],
    ["https://bücher.example/", "https://xn--bcher-kva.example/"],
    ["https://127.0.0.1.example.com/", "https://127.0.0.1.example.com/"],
    ["http://example.com:1024/a?b=c#d", "http://example.com:1024/a?b=c"],
    ["https://example.com:65535", "https://example.com:65535/"],
    ["https://Example.COM./hook", "https://example.com/hook"],
    ["https://internal.example.com/", "https://internal.example.com/"],
    ["https://local.example/x", "https://local.example/x"],
  ]
  for (const [url, href] of accepted) {
    test(`${url} is accepted as ${href}`, () => {
      const judged = judgeUrl(url, strict)
      assert.ok(judged.kind === "allowed")
      assert.equal(judged.href, href)
      assert.equal(faultOf(judged.href), "none", "what was normalised is accepted as well")
    })
  }

  test("a sentence says what is wrong and how to mend it", () => {
    const sentence = (url: string): string => {
      const judged = judgeUrl(url, strict)
      return judged.kind === "refused" ? judged.message : ""
    }
    assert.match(sentence("http://10.1.2.3/"), /10\.1\.2\.3 is a private network address\..*WAYBILL_EGRESS_ALLOW/)
    assert.match(sentence("http://localhost:3000/"), /"localhost" means the machine that Waybill runs on/)
    assert.match(sentence("http://user:geheim@example.com/"), /Authorization/)
    assert.doesNotMatch(sentence("http://user:geheim@example.com/"), /geheim/)
    assert.match(sentence("ftp://example.com/"), /http and https, not to "ftp:"/)
    assert.match(sentence("crm.example/hook"), /in full: https:\/\//)
    assert.match(sentence("https://example.com:22/"), /Port 22 belongs to a service/)
    assert.match(sentence("https://example.com:81/"), /Port 81 is kept for system services/)
  })
})

describe("ports", () => {
  test("only 80, 443 and those from 1024 up, without those of known services", () => {
    const denied = [0, 1, 22, 23, 25, 53, 79, 81, 110, 143, 389, 442, 444, 445, 465, 587, 993, 995, 1023]
    const services = [2049, 2375, 2376, 2379, 3306, 5432, 5984, 6379, 6443, 8500, 9200, 9300, 10250, 11211, 27017]
    for (const port of [...denied, ...services])
      assert.equal(faultOf(`http://example.com:${port}/`), "port", String(port))
    for (const port of [80, 443, 1024, 3000, 8080, 8443, 9000, 65535]) {
      assert.equal(faultOf(`http://example.com:${port}/`), "none", String(port))
    }
  })
})

describe("a server that is bound to loopback", () => {
  test("lets integrations reach loopback on any port but those of services", () => {
    for (const url of [
      "http://127.0.0.1:81/",
      "http://127.9.9.9:3000/",
      "http://[::1]:8080/",
      "http://[::ffff:127.0.0.1]:8080/",
    ]) {
      assert.equal(faultOf(url, onLoopback), "none", url)
    }
    for (const url of ["http://localhost:3000/", "http://LOCALHOST.:3000/", "https://app.localhost/"]) {
      assert.equal(faultOf(url, onLoopback), "none", url)
    }
    for (const url of ["http://127.0.0.1:22/", "http://localhost:6379/", "http://[::1]:5432/", "http://localhost:0/"]) {
      assert.equal(faultOf(url, onLoopback), "port", url)
    }
  })

  test("lets them reach nothing else that is not public", () => {
    for (const [url] of refusedUrls) {
      const judged = judgeUrl(url, onLoopback)
      if (judged.kind === "allowed")
        assert.match(judged.destination.host, /^(127\.|::1$|::ffff:7f|(.*\.)?localhost$)/, url)
    }
    for (const url of ["http://0.0.0.0/", "http://10.0.0.1/", "http://[::127.0.0.1]/", "http://169.254.169.254/"]) {
      assert.equal(faultOf(url, onLoopback), "address", url)
    }
    for (const url of ["http://db/", "http://db.local/", "http://metadata.google.internal/"]) {
      assert.equal(faultOf(url, onLoopback), "name", url)
    }
    assert.equal(addressFault("127.0.0.1", onLoopback), null)
    assert.equal(addressFault("::1", onLoopback), null)
    assert.notEqual(addressFault("10.0.0.1", onLoopback), null)
  })
})

describe("what the operator lists", () => {
  test("is reached by address, on any port", () => {
    const rules = allowing("10.1.0.0/16, 192.168.7.7,fd00:1::/32, [fd00:2::5]")
    for (const host of ["10.1.2.3", "192.168.7.7", "[fd00:1::9]", "[fd00:2::5]", "[::ffff:10.1.2.3]"]) {
      assert.equal(faultOf(`http://${host}:25/`, rules), "none", host)
    }
    for (const host of ["10.2.0.1", "192.168.7.8", "[fd00:2::6]", "127.0.0.1"]) {
      assert.equal(faultOf(`http://${host}/`, rules), "address", host)
    }
    assert.equal(addressFault("10.1.2.3", rules), null)
    assert.equal(addressFault("10.2.2.3", rules), "private network")
  })

  test("is reached by name, on any port, however the name is written", () => {
    const rules = allowing("crm, Bücher.Example., *.corp.example,  db.internal")
    for (const url of [
      "http://crm:25/",
      "http://CRM./",
      "http://db.internal:5432/",
      "http://a.b.corp.example/",
      "http://xn--bcher-kva.example:23/",
    ]) {
      assert.equal(faultOf(url, rules), "none", url)
    }
    for (const url of ["http://crm2/", "http://other.internal/", "http://crm.local/"])
      assert.equal(faultOf(url, rules), "name", url)
    assert.equal(faultOf("http://corp.example:25/", rules), "port", "the suffix means what is below it")
    assert.equal(faultOf("http://evilcorp.example:25/", rules), "port")
  })

  test("still has to be a port", () => {
    assert.equal(faultOf("http://10.1.2.3:0/", allowing("10.1.2.3")), "port")
  })

  test("can be nothing at all", () => {
    for (const text of ["", " ", ",", " , "]) assert.deepEqual(parseEgressAllow(text), { kind: "read", allow: [] })
  })

  for (const entry of [
    ...["10.0.0.5/8", "10.0.0.0/33", "http://crm.example", "crm.example:8080", "crm.example/path", "user@crm"],
    ...["*", "*.", "a..b", "300.1.1.1", "10.1", "*.10.1.2.3", "fe80::1%eth0", "[::1", "a b", "cr*m.example"],
  ]) {
    test(`"${entry}" is refused with a sentence that names it`, () => {
      const reading = parseEgressAllow(`10.0.0.0/8, ${entry}`)
      assert.ok(reading.kind === "invalid")
      assert.ok(reading.message.startsWith(`"${entry}" is no address range`))
    })
  }
})
