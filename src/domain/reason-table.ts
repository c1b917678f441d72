/**
 * The table of reasons as data: colour, whether it is tried again, the classes of errors behind it, and its words. What
 * the other side answered stands in reason-status.ts, why it did not answer in reason-network.ts, what Waybill or its
 * users decided here. A new reason is one row.
 */
import type { ReasonCode, ReasonRow } from "./reason.ts"
import { networkRows } from "./reason-network.ts"
import { statusRows } from "./reason-status.ts"

const environmentConfig = "/config[/{environment}]"

const onItsWay = {
  queued: {
    title: "Waiting to be sent",
    what: "It is stored and waits for its turn to be sent.",
    causes: "Events leave as soon as the integration has a slot free, mostly at once.",
    advice: "Nothing to do. If events stay here for long, look at how the endpoint is doing, or raise max_concurrent.",
    setting: "/policy/max_concurrent",
    colour: "plain",
    triedAgain: null,
    classes: [],
  },
  waiting_turn: {
    title: "Behind an earlier event",
    what: "It waits behind {behind|an earlier event} of the same ordering key[, {ordering_key}].",
    causes: "The integration delivers one event after another per key, and an earlier one has not got through yet.",
    advice: "Mend or end the earlier delivery; this one follows by itself.",
    setting: "/policy/ordered",
    colour: "plain",
    triedAgain: null,
    classes: [],
    variants: {
      by: "behind_status",
      wordings: {
        failed: {
          title: "Behind an event that has failed",
          what: "It waits behind {behind|an earlier event} of the same ordering key[, {ordering_key}], which has failed and holds those behind it.",
          causes:
            "The policy's ordered_on_failure is stop: what has failed for good holds its ordering key until someone acts.",
          advice:
            "Mend what the earlier delivery failed of and retry it[ with POST /v1/deliveries/{behind}/retry], or let its key go on without it[ with POST /v1/deliveries/{behind}/release].",
          setting: "/policy/ordered_on_failure",
        },
      },
    },
  },
  waiting_rate: {
    title: "Held by the rate limit",
    what: "It waits so that the endpoint gets no more than [{max_per_second} requests|its share of requests] a second.",
    causes: "More events come in for this integration than max_per_second lets out.",
    advice: "Nothing to do. If the endpoint can take more, raise max_per_second.",
    setting: "/policy/max_per_second",
    colour: "plain",
    triedAgain: null,
    classes: [],
    variants: {
      by: "cause",
      wordings: {
        asked: {
          title: "The endpoint asked to be left alone",
          what: "It waits, because {host|the endpoint} asked to be left alone[ until {until_at}].",
          causes: "The endpoint answered another event with Retry-After: it gets more requests than it takes.",
          advice:
            "Nothing to do: it goes out after that time. To keep below what the endpoint takes, set max_per_second.",
        },
        budget: {
          title: "The shared budget is used up",
          what: "It waits, because the budget that it shares with other integrations is used up[ until {until_at}].",
          causes: "The other side grants so many requests to one account, and its answers say that none are left.",
          advice:
            "Nothing to do: it goes out after that time, in turn with the others. To get more through, ask the other side for a higher limit.",
          setting: "/policy/budget",
        },
      },
    },
  },
  scheduled: {
    title: "Not before its time",
    what: "It is not to be sent before {next_at|its time}.",
    causes: "The event, or whoever asked for this attempt, set a time.",
    advice: "Nothing to do.",
    setting: null,
    colour: "plain",
    triedAgain: null,
    classes: [],
  },
  paused: {
    title: "Integration paused",
    what: "The integration is paused, so it waits.",
    causes: "Somebody paused the integration[ at {off_at}].",
    advice: "Resume the integration; what waits then goes out, oldest first.",
    setting: "/paused",
    colour: "plain",
    triedAgain: null,
    classes: [],
  },
} as const satisfies Partial<Record<ReasonCode, ReasonRow>>

const leftOut = {
  type_disabled: {
    title: "Event type switched off",
    what: "Events of [the type {type}|this type] are switched off for this integration.",
    causes: "The type, its prefix or the default is off in the integration's events, or the name for it is blank.",
    advice:
      "Nothing to do if that is meant. Else switch the type on in the integration's events, give it a name that is not blank, and save.",
    setting: "/events",
    colour: "grey",
    triedAgain: "no",
    classes: [],
  },
  type_unsupported: {
    title: "Event type not supported",
    what: "This kind of integration never sends events of [the type {type}|this type].",
    causes: "The destination has no use for the type, so its connector leaves it out.",
    advice: "Nothing to do. A webhook integration takes every type.",
    setting: null,
    colour: "grey",
    triedAgain: "no",
    classes: [],
  },
  filtered: {
    title: "Filtered out",
    what: "The integration's filter leaves this event out, or it has no endpoint for [{environment} events|the event's environment].",
    causes: "A condition of the filter does not hold for this event, or only the other environment has an endpoint.",
    advice: "Nothing to do if that is meant. Else change the filter, or set an endpoint for the environment.",
    setting: "/filter",
    colour: "grey",
    triedAgain: "no",
    classes: [],
    variants: {
      by: "cause",
      wordings: {
        filter: {
          what: "The integration's filter leaves this event out.",
          causes: "A condition of the filter does not hold for this event.",
          advice: "Nothing to do if that is meant. Else change the filter.",
        },
        no_endpoint: {
          title: "No endpoint for its environment",
          what: "The integration has no endpoint for [{environment} events|the event's environment].",
          causes: "Only the other environment has an endpoint.",
          advice: "Nothing to do if that is meant. Else set an endpoint for the environment.",
          setting: environmentConfig,
        },
      },
    },
  },
  event_expired: {
    title: "Older than its profile",
    what: "The event[, of {occurred_at},] is older than its profile[, which begins at {profile_since_at}], and the integration excludes historical events.",
    causes:
      "Old transactions came in through a receipt check: a chain of purchases that began long ago reached a profile that is new here.",
    advice:
      "Nothing to do: leaving them out keeps the destination from counting them twice. To send them all the same, switch exclude_historical off.",
    setting: "/options/exclude_historical",
    colour: "grey",
    triedAgain: "no",
    classes: [],
  },
  historical: {
    title: "Imported history",
    what: "The event came in as history: it is kept for search and delivered nowhere.",
    causes: "Its sender marked it as historical, as imports do.",
    advice: "Nothing to do. To have such events delivered, send them without the mark.",
    setting: null,
    colour: "grey",
    triedAgain: "no",
    classes: [],
  },
  opted_out: {
    title: "Profile opted out",
    what: "The profile refuses to have its events passed on, to any integration.",
    causes: "The user chose so, or the app did on their behalf.",
    advice: "Nothing to do. If the choice is taken back, later events go out; this one does not.",
    setting: null,
    colour: "grey",
    triedAgain: "no",
    classes: [],
  },
  integration_removed: {
    title: "Integration removed",
    what: "The integration was removed[ at {off_at}], so nothing more is sent to it.",
    causes: "Somebody removed the integration while this event waited.",
    advice: "Nothing to do. If the integration was still needed, set it up again; later events go out.",
    setting: null,
    colour: "grey",
    triedAgain: "no",
    classes: [],
  },
  person_erased: {
    title: "Person erased",
    what: "The person whom the event is about is being erased, so nothing more of it is sent.",
    causes: "Somebody asked for the erasure of this profile while the event waited.",
    advice: "Nothing to do. In a moment the event and all that was made of it has gone.",
    setting: null,
    colour: "grey",
    triedAgain: "no",
    classes: [],
  },
} as const satisfies Partial<Record<ReasonCode, ReasonRow>>

const notReady = {
  not_verified: {
    title: "Endpoint not verified",
    what: "The[ {environment}] endpoint[ at {host}] has not passed verification, so no events are sent to it.[ The last check, at {checked_at}, said: {detail}.]",
    causes:
      "The verification request, an empty JSON object sent by POST when the integration is saved or enabled, got no 2xx answer, or none with valid JSON where the rule asks for it.",
    advice:
      "Let the endpoint take Content-Type application/json and answer 2xx with any valid JSON, then verify it again and replay what was withheld with POST /v1/recoveries. Trying it out on the sandbox endpoint first is safest.",
    setting: "/config[/{environment}/url]",
    colour: "red",
    triedAgain: "on_replay",
    classes: [],
  },
  missing_credentials: {
    title: "Credential missing",
    what: "[The credential {field}|A credential that the endpoint needs] is not set[ for {environment}].",
    causes: "It was never filled in, was removed, or is set for the other environment or platform only.",
    advice: "Fill it in in the integration's configuration, then replay what was withheld with POST /v1/recoveries.",
    setting: environmentConfig,
    colour: "red",
    triedAgain: "on_replay",
    classes: [],
  },
  missing_data: {
    title: "Data missing",
    what: "The {subject|event or its profile} lacks {field|something that the integration needs}.",
    causes:
      "The app's SDK is not set up to hand it over, or did so only after the event. Some integrations also need a profile that has attribution and is newer than their configuration.",
    advice:
      "See in the integration's documentation which identifiers it needs, set {field|them} on the profile before its events happen, and replay this one with POST /v1/recoveries.",
    setting: null,
    colour: "red",
    triedAgain: "on_replay",
    classes: [],
  },
  mapping_failed: {
    title: "Mapping failed",
    what: "A template or mapping[, that of {field},] gave an error or a value that cannot be used[: {detail}].",
    causes: "A field of the event is missing or is of another kind than the mapping expects.",
    advice:
      "Compare the mapping with the data of this event; fixed values in place of variables show which one it is. Then replay the event with POST /v1/recoveries.",
    setting: "/config",
    colour: "red",
    triedAgain: "on_replay",
    classes: [],
  },
  request_invalid: {
    title: "No valid request",
    what: "No valid request can be formed for this event[; the header {header} cannot be sent][; the field {field} cannot be used][: {detail}].",
    causes:
      "The URL or a header holds what HTTP does not allow, such as a line break, a space at its end or letters beyond ASCII.",
    advice: "Correct [the header {header}|what is named here] in the integration's configuration, then retry by hand.",
    setting: environmentConfig,
    colour: "red",
    triedAgain: "no",
    classes: ["CONFIG_INVALID"],
  },
} as const satisfies Partial<Record<ReasonCode, ReasonRow>>

const heldBack = {
  no_recent_success: {
    title: "Nothing got through for a day",
    what: "Nothing has got through to {host|the endpoint} [since {failing_since_at}|for 24 h], so nothing is retried by itself until a delivery succeeds.",
    causes: "The endpoint has been down, moved or has refused everything for a day.",
    advice:
      "Mend the endpoint and send it a test event. After the first success new events are retried as usual; replay those that failed meanwhile with POST /v1/recoveries.",
    setting: "/policy",
    colour: "red",
    triedAgain: "on_replay",
    classes: [],
  },
  sleeping: {
    title: "Skipped, the endpoint is resting",
    what: "Sleeping, too many errors, please wait and try again: {host|the endpoint} lately failed more often than it succeeded[ ({errors} errors, {successes} successes)], so this attempt was skipped and nothing was sent.[ It has been in trouble since {since_at}.]",
    causes:
      "The endpoint answered with more 4xx, 5xx and time-outs than successes, mostly because it gets more requests than it can handle.",
    advice:
      "After a few seconds' rest one attempt is let through to try, and normal traffic comes back gradually, oldest first. Make sure that the server can take the volume that you send, or set max_per_second[ (now {max_per_second})]. Under the device preset, a skipped event is tried again after 30 s and once more after 60 s, then it fails.",
    setting: "/policy/max_per_second",
    colour: "grey_then_red",
    triedAgain: "by_policy",
    classes: [],
  },
  blocked_address: {
    title: "Address not allowed",
    what: "Waybill may not send to {host|the endpoint}: its address is not public, or its port not allowed.",
    causes:
      "The URL, or the name in it, leads to this machine, a private network, a reserved address or a port that is not for web servers.",
    advice:
      "Set the URL to a public address. If this one is meant, whoever runs Waybill can list it in WAYBILL_EGRESS_ALLOW; then retry by hand.",
    setting: "/config[/{environment}/url]",
    colour: "red",
    triedAgain: "no",
    classes: ["EGRESS_BLOCKED"],
    variants: {
      by: "party",
      wordings: {
        token_endpoint: {
          title: "Address of the token endpoint not allowed",
          what: "Waybill may not send to the token endpoint[ {host}]: its address is not public, or its port not allowed.",
          causes:
            "The token URL, or the name in it, leads to this machine, a private network, a reserved address or a port that is not for web servers.",
          advice:
            "Set token_url to a public address. If this one is meant, whoever runs Waybill can list it in WAYBILL_EGRESS_ALLOW; then retry by hand.",
          setting: "/config[/{environment}/auth/token_url]",
        },
      },
    },
  },
  integration_disabled: {
    title: "Integration switched off",
    what: "The integration was switched off[ at {off_at}], so nothing is sent to it.",
    causes: "It failed for too long, or somebody switched it off while this event waited.",
    advice: "Mend what made it fail, enable the integration, and replay what it missed with POST /v1/recoveries.",
    setting: "/enabled",
    colour: "red",
    triedAgain: "on_replay",
    classes: [],
    variants: {
      by: "by",
      wordings: {
        person: { causes: "Somebody switched it off while this event waited." },
        waybill: {
          causes: "Waybill switched it off[ ({cause})]: the endpoint answered 410, or failed for too long.",
        },
      },
    },
  },
  payload_expired: {
    title: "Payload expired",
    what: "It was held until its payload was due to go[, at {expired_at}], and ended unsent.",
    causes:
      "It waited too long: in a paused integration, behind another event of its ordering key, or for an endpoint that kept failing.",
    advice: "Have the source send the event again. Resume paused integrations sooner, or keep payloads longer.",
    setting: null,
    colour: "red",
    triedAgain: "no",
    classes: [],
    variants: {
      by: "private",
      wordings: {
        masked: {
          title: "Private fields masked",
          what: "Its private fields were masked[ at {masked_at}], as no delivery of the event was open any more: nothing whole was left to send.",
          causes: "It was asked for again at the moment in which the last delivery of the event ended.",
          advice: "Have the source send the event again.",
        },
        unreadable: {
          title: "Private fields unreadable",
          what: "Its data holds private fields and is kept sealed, and the seal could not be opened, so nothing was sent.",
          causes: "The database was changed past Waybill, or the key that it was sealed with is gone.",
          advice: "Put the key back, then have the source send the event again.",
        },
      },
    },
  },
} as const satisfies Partial<Record<ReasonCode, ReasonRow>>

const ownFaults = {
  interrupted: {
    title: "Interrupted, result unknown",
    what: "Waybill was stopped during the attempt, so nobody knows whether {host|the endpoint} got the event.",
    causes: "A restart, an update or a crash of Waybill.",
    advice:
      "Nothing to do: it is tried again at once, and does not count against the retries; a test is not. The endpoint can tell a repeat by its webhook-id.",
    setting: null,
    colour: "amber",
    triedAgain: "yes",
    classes: [],
  },
  sender_fault: {
    title: "Fault on Waybill's side",
    what: "Waybill's own machine or network was not able to send[ ({error})]; this counts against neither the event nor the endpoint.",
    causes: "No route to any network, no resolver, or no file handles, ports or memory left.",
    advice:
      "Nothing to do at the endpoint: it is tried again shortly. GET /v1/status tells more, and waybill doctor whoever runs Waybill.",
    setting: null,
    colour: "amber",
    triedAgain: "yes",
    classes: ["SENDER_FAULT"],
  },
} as const satisfies Partial<Record<ReasonCode, ReasonRow>>

/** Every reason there is. */
export const reasonTable: Readonly<Record<ReasonCode, ReasonRow>> = {
  ...onItsWay,
  ...leftOut,
  ...notReady,
  ...networkRows,
  ...statusRows,
  ...heldBack,
  ...ownFaults,
}
