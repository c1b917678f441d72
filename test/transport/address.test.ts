import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { covers, isSameAddress, parseAddress, parseRange, specialUse } from "../../src/transport/address.ts"

function useOf(text: string): string | null {
  const address = parseAddress(text)
  assert.ok(address !== null, `${text} is an address`)
  return specialUse(address)
}

describe("an address is public or not", () => {
  /** For each range of standards 3.2 its first and last address, and the public ones that touch it. */
  const edges: [range: string, inside: string[], outside: string[]][] = [
    ["0.0.0.0/8", ["0.0.0.0", "0.255.255.255"], ["1.0.0.0"]],
    ["10.0.0.0/8", ["10.0.0.0", "10.255.255.255"], ["9.255.255.255", "11.0.0.0"]],
    ["100.64.0.0/10", ["100.64.0.0", "100.100.100.200", "100.127.255.255"], ["100.63.255.255", "100.128.0.0"]],
    ["127.0.0.0/8", ["127.0.0.0", "127.255.255.255"], ["126.255.255.255", "128.0.0.0"]],
    [
      "169.254.0.0/16",
      ["169.254.0.0", "169.254.169.254", "169.254.170.2", "169.254.255.255"],
      ["169.253.255.255", "169.255.0.0"],
    ],
    ["172.16.0.0/12", ["172.16.0.0", "172.31.255.255"], ["172.15.255.255", "172.32.0.0"]],
    ["192.0.0.0/24", ["192.0.0.0", "192.0.0.192", "192.0.0.255"], ["191.255.255.255", "192.0.1.0"]],
    ["192.0.2.0/24", ["192.0.2.0", "192.0.2.255"], ["192.0.1.255", "192.0.3.0"]],
    ["192.31.196.0/24", ["192.31.196.0", "192.31.196.255"], ["192.31.195.255", "192.31.197.0"]],
    ["192.52.193.0/24", ["192.52.193.0", "192.52.193.255"], ["192.52.192.255", "192.52.194.0"]],
    ["192.88.99.0/24", ["192.88.99.0", "192.88.99.255"], ["192.88.98.255", "192.88.100.0"]],
    ["192.168.0.0/16", ["192.168.0.0", "192.168.255.255"], ["192.167.255.255", "192.169.0.0"]],
    ["192.175.48.0/24", ["192.175.48.0", "192.175.48.255"], ["192.175.47.255", "192.175.49.0"]],
    ["198.18.0.0/15", ["198.18.0.0", "198.19.255.255"], ["198.17.255.255", "198.20.0.0"]],
    ["198.51.100.0/24", ["198.51.100.0", "198.51.100.255"], ["198.51.99.255", "198.51.101.0"]],
    ["203.0.113.0/24", ["203.0.113.0", "203.0.113.255"], ["203.0.112.255", "203.0.114.0"]],
    ["224.0.0.0/3", ["224.0.0.0", "239.255.255.255", "240.0.0.0", "255.255.255.255"], ["223.255.255.255"]],
    ["168.63.129.16", ["168.63.129.16"], ["168.63.129.15", "168.63.129.17"]],
    ["outside 2000::/3", ["::", "::1", "1fff:ffff::", "4000::", "4000::1", "8000::", "ffff::"], ["2000::", "3ffe::"]],
    ["::/96, IPv4-compatible", ["::7f00:1", "::a9fe:a9fe", "::127.0.0.1"], []],
    ["IPv4-translated", ["::ffff:0:7f00:1"], []],
    ["NAT64", ["64:ff9b::a9fe:a9fe", "64:ff9b::808:808", "64:ff9b:1::a9fe:a9fe"], []],
    ["discard and SRv6", ["100::1", "5f00::1"], []],
    ["unique local", ["fc00::", "fd00:ec2::254", "fd20:ce::254", "fdff:ffff::"], []],
    ["link-local, site-local, multicast", ["fe80::1", "fec0::1", "ff02::1"], []],
    [
      "2001::/23",
      ["2001::", "2001:0:a9fe:a9fe::", "2001:2::1", "2001:10::1", "2001:20::1", "2001:1ff:ffff::"],
      ["2001:200::", "2000:ffff::"],
    ],
    ["2001:db8::/32", ["2001:db8::", "2001:db8:ffff::"], ["2001:db7::", "2001:db9::"]],
    ["2002::/16", ["2002::", "2002:a9fe:a9fe::", "2002:ffff::"], ["2003::"]],
    ["2620:4f:8000::/48", ["2620:4f:8000::1"], ["2620:4f:7fff::", "2620:4f:8001::"]],
    ["3fff::/20", ["3fff::1", "3fff:fff:ffff::"], ["3fff:1000::"]],
  ]
  for (const [range, inside, outside] of edges) {
    test(range, () => {
      for (const text of inside) assert.notEqual(useOf(text), null, text)
      for (const text of outside) assert.equal(useOf(text), null, text)
    })
  }

  test("a mapped address is judged as the IPv4 address in it, either way", () => {
    for (const text of ["::ffff:127.0.0.1", "::ffff:7f00:1", "0:0:0:0:0:ffff:a9fe:a9fe", "::ffff:169.254.169.254"]) {
      assert.notEqual(useOf(text), null, text)
    }
    assert.equal(useOf("::ffff:8.8.8.8"), null)
    assert.equal(useOf("::ffff:808:808"), null)
  })

  test("public addresses are public", () => {
    for (const text of ["1.1.1.1", "8.8.8.8", "93.184.215.14", "2606:4700::1111", "2a00:1450:4001::200e"]) {
      assert.equal(useOf(text), null, text)
    }
  })
})

describe("reading addresses", () => {
  test("only one spelling of IPv4 is read: no octal, hex or short ones", () => {
    for (const text of [
      "0177.0.0.1",
      "127.1",
      "2130706433",
      "0x7f.0.0.1",
      "256.1.1.1",
      "1.2.3",
      "",
      "1.2.3.4.5",
      " 1.2.3.4",
    ]) {
      assert.equal(parseAddress(text), null, text)
    }
  })

  test("zones and broken IPv6 are not read", () => {
    for (const text of ["fe80::1%eth0", "1::2::3", ":::", "12345::", "1:2:3:4:5:6:7", "[::1]", "::1.2.3"]) {
      assert.equal(parseAddress(text), null, text)
    }
  })

  test("all spellings of an IPv6 address are the same address", () => {
    const spellings = ["2001:db8::1", "2001:0db8:0:0:0:0:0:1", "2001:DB8:0::0:1", "2001:db8::0.0.0.1"]
    for (const spelling of spellings) assert.ok(isSameAddress("2001:db8::1", spelling), spelling)
    assert.ok(isSameAddress("::ffff:10.1.2.3", "10.1.2.3"))
    assert.ok(!isSameAddress("2001:db8::1", "2001:db8::2"))
    assert.ok(!isSameAddress("10.1.2.3", ""))
  })

  test("a range holds exactly its addresses", () => {
    const holds = (range: string, address: string): boolean => {
      const [parsedRange, parsed] = [parseRange(range), parseAddress(address)]
      assert.ok(parsedRange !== null && parsed !== null)
      return covers(parsedRange, parsed)
    }
    assert.ok(holds("10.1.0.0/17", "10.1.127.255") && !holds("10.1.0.0/17", "10.1.128.0"))
    assert.ok(holds("0.0.0.0/0", "255.1.2.3") && !holds("0.0.0.0/0", "::1"))
    assert.ok(holds("10.1.2.3", "10.1.2.3") && !holds("10.1.2.3", "10.1.2.4"))
    assert.ok(holds("fd00:1::/33", "fd00:1:7fff::") && !holds("fd00:1::/33", "fd00:1:8000::"))
    assert.ok(holds("::/0", "ffff::"))
  })

  test("a range with bits beyond its mask, or none, is not read", () => {
    for (const text of [
      "10.0.0.5/8",
      "10.0.0.0/33",
      "10.0.0.0/",
      "10.0.0.0/-1",
      "10.0.0.0/8x",
      "fd00::1/64",
      "::/129",
      "x/8",
    ]) {
      assert.equal(parseRange(text), null, text)
    }
  })
})
