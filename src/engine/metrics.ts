/** Numbers for operators, by the names of Prometheus; labels are few and never ids of customers' things. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client"

const seconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

/** All metrics of one process. */
export class Metrics {
  readonly registry = new Registry()
  readonly #on = [this.registry]

  readonly eventsAccepted = new Counter({
    name: "waybill_events_accepted_total",
    help: "Events stored and answered with 202.",
    registers: this.#on,
  })
  readonly eventsDuplicate = new Counter({
    name: "waybill_events_duplicate_total",
    help: "Repeats of events that were stored before.",
    registers: this.#on,
  })
  readonly eventsRejected = new Counter({
    name: "waybill_events_rejected_total",
    help: "Requests that ingest refused, by the problem's code.",
    labelNames: ["reason"],
    registers: this.#on,
  })
  readonly ingestDuration = new Histogram({
    name: "waybill_ingest_duration_seconds",
    help: "From a request's body to its answer.",
    buckets: seconds,
    registers: this.#on,
  })
  readonly deliveries = new Counter({
    name: "waybill_deliveries_total",
    help: "What became of deliveries at the end of each attempt.",
    labelNames: ["destination_type", "outcome"],
    registers: this.#on,
  })
  readonly attempts = new Counter({
    name: "waybill_delivery_attempts_total",
    help: "Attempts by class of error (`none` after an answer) and phase.",
    labelNames: ["class", "phase"],
    registers: this.#on,
  })
  readonly attemptDuration = new Histogram({
    name: "waybill_delivery_attempt_duration_seconds",
    help: "How long attempts took.",
    buckets: seconds,
    registers: this.#on,
  })
  readonly deliveryLatency = new Histogram({
    name: "waybill_delivery_latency_seconds",
    help: "From an event's acceptance to its delivery.",
    buckets: [...seconds, 60, 300, 3_600, 86_400],
    registers: this.#on,
  })
  readonly inFlight = new Gauge({
    name: "waybill_inflight",
    help: "Requests to integrations under way.",
    registers: this.#on,
  })
  readonly oldestAge = new Gauge({
    name: "waybill_queue_oldest_age_seconds",
    help: "How late the oldest due delivery is of the integrations that this process sends for; what is paused, resting or held by a rate does not count.",
    registers: this.#on,
  })
  readonly lateLanes = new Gauge({
    name: "waybill_queue_late_lanes",
    help: "Integrations of this process with a delivery that is later than it should be; paused, resting and rate-limited ones apart.",
    registers: this.#on,
  })
  readonly queueDepth = new Gauge({
    name: "waybill_queue_depth",
    help: "Integrations of this process with a delivery that waits (waiting_lanes), or is due already (due_lanes).",
    labelNames: ["state"],
    registers: this.#on,
  })
  readonly commitDuration = new Histogram({
    name: "waybill_commit_duration_seconds",
    help: "How long commits took, fsync included.",
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1],
    registers: this.#on,
  })
  readonly commitBatch = new Histogram({
    name: "waybill_commit_batch_size",
    help: "Pieces of work in a commit.",
    buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500],
    registers: this.#on,
  })
  readonly claimDuration = new Histogram({
    name: "waybill_claim_duration_seconds",
    help: "How long it takes to claim what is due, for as many integrations as go together; on PostgreSQL alone.",
    buckets: seconds,
    registers: this.#on,
  })
  readonly oldestTransaction = new Gauge({
    name: "waybill_db_oldest_xmin_age_seconds",
    help: "How long the oldest transaction has been open that keeps old rows from being cleaned up; on PostgreSQL alone. Claims become slower by it.",
    // As with the days ahead.
    labelNames: ["engine"],
    registers: this.#on,
  })
  readonly retentionLag = new Gauge({
    name: "waybill_retention_lag_seconds",
    help: "How long ago the oldest thing that is still stored should have gone; the same on all processes.",
    registers: this.#on,
  })
  readonly daysAhead = new Gauge({
    name: "waybill_partition_days_ahead",
    help: "Days after today whose partitions are there; on PostgreSQL alone. Below 1, events of tomorrow have no place to go to.",
    // With a label it has no value where nothing sets one.
    labelNames: ["engine"],
    registers: this.#on,
  })
  readonly rewrapPending = new Gauge({
    name: "waybill_secret_rewrap_pending",
    help: "Sealed values that an older key than the newest has sealed; the same on all processes. At 0 the older keys open nothing any more.",
    registers: this.#on,
  })
  readonly egressBlocked = new Counter({
    name: "waybill_egress_blocked_total",
    help: "Requests that the guard against private addresses held back.",
    labelNames: ["reason"],
    registers: this.#on,
  })
  readonly eventLoopLag = new Gauge({
    name: "waybill_event_loop_lag_seconds",
    help: "The greatest delay of the event loop since the last reading.",
    registers: this.#on,
  })
  readonly buildInfo = new Gauge({
    name: "waybill_build_info",
    help: "1, with the version.",
    labelNames: ["version", "node"],
    registers: this.#on,
  })

  readonly #bound = new Map<string, { inc(): void }>()

  constructor(version: string, node: string) {
    this.buildInfo.set({ version, node }, 1)
    collectDefaultMetrics({ register: this.registry })
  }

  /** Counts an attempt and what it did to its delivery. Labelled children are kept: finding one costs 2 us, keeping it none. */
  attempted(attempt: { connector: string; class: string; phase: string; next: string; tookMs: number }): void {
    const { connector, phase, next } = attempt
    this.#child(`a ${attempt.class} ${phase}`, () => this.attempts.labels({ class: attempt.class, phase })).inc()
    this.#child(`d ${connector} ${next}`, () =>
      this.deliveries.labels({ destination_type: connector, outcome: next }),
    ).inc()
    this.attemptDuration.observe(attempt.tookMs / 1_000)
  }

  /** Counts a delivery that was held back without an attempt. */
  skipped(connector: string): void {
    this.#child(`d ${connector} skipped`, () =>
      this.deliveries.labels({ destination_type: connector, outcome: "skipped" }),
    ).inc()
  }

  #child(key: string, make: () => { inc(): void }): { inc(): void } {
    let child = this.#bound.get(key)
    if (child === undefined) {
      child = make()
      this.#bound.set(key, child)
    }
    return child
  }
}
