/** The events of a shop that sells thermostats and a subscription for them: the same ones each time. */

export interface ShopEvent {
  readonly type: string
  readonly id: string
  readonly app: string
  readonly profile_id: string
  readonly device_id?: string
  readonly source_record: string
  readonly environment?: "sandbox"
  readonly data: Readonly<Record<string, unknown>>
}

const customers = [
  ["cus_4f9a21", "jonas.weber@mail.example"],
  ["cus_88be03", "amelie.roux@mail.example"],
  ["cus_1d70cc", "olga.petrova@mail.example"],
  ["cus_c2a95e", "sam.okafor@mail.example"],
  ["cus_77e1f4", "lucia.moreno@mail.example"],
  ["cus_0b6d12", "henrik.dahl@mail.example"],
  ["cus_e34f90", "mei.tanaka@mail.example"],
] as const

const plans = [
  ["comfort", 12.99],
  ["home", 89],
  ["essential", 4.99],
] as const

/** In the order in which they come, again and again: what is frequent stands here more than once. */
const kinds = [
  "payment.succeeded",
  "subscription.renewed",
  "device.temperature",
  "order.shipped",
  "payment.succeeded",
  "device.offline",
  "subscription.renewed",
  "device.temperature",
  "subscription.started",
  "payment.succeeded",
  "subscription.cancelled",
  "device.temperature",
  "payment.refunded",
] as const

/** The event of that number, from 0. */
export function event(number: number): ShopEvent {
  const type = pick(kinds, number)
  // Steps that have no divisor in common with how many there are: all of them meet all of them.
  const [customer, email] = pick(customers, number * 3 + 1)
  const [plan, amount] = pick(plans, number * 2 + Math.floor(number / 5))
  const device = `t2-${String(1_040 + ((number * 7) % 23)).padStart(5, "0")}`
  const about = {
    type,
    id: `${type.split(".")[0]}-${20_000 + number}`,
    profile_id: customer,
    source_record: `${recordsOf(type)}-${20_000 + number}`,
    ...(number % 29 === 28 && { environment: "sandbox" as const }),
  }
  if (type.startsWith("device.")) {
    const data =
      type === "device.offline" ? { last_seen_s: 340 } : { celsius: 18 + ((number * 3) % 70) / 10, battery: 0.82 }
    return { ...about, app: "thermostat", device_id: device, data }
  }
  const app = pick(["ios", "web", "android", "ios"], number + Math.floor(number / 4))
  if (type === "order.shipped") {
    return {
      ...about,
      app: "web",
      data: { order: `NW-${20_000 + number}`, carrier: "DHL", parcels: 1, customer: { email } },
    }
  }
  const data = { amount, currency: "EUR", plan, customer: { email, country: pick(["DE", "FR", "ES", "SE"], number) } }
  return { ...about, app, data }
}

function recordsOf(type: string): string {
  return type.startsWith("payment.")
    ? "pay"
    : type.startsWith("order.")
      ? "NW"
      : type.startsWith("device.")
        ? "msg"
        : "sub"
}

function pick<T>(among: readonly [T, ...T[]] | readonly T[], number: number): T {
  const found = among[number % among.length]
  if (found === undefined) throw new Error("There is nothing to pick from.")
  return found
}
