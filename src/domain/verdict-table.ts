/**
 * The table of verdicts as data: colour and words, in the templates of sentence.ts. A new verdict is a row here and a
 * function in verdicts.ts.
 */
import type { Colour } from "./reason.ts"

/** What a verdict says: templates over its facts. */
export interface VerdictWording {
  readonly title: string
  /** What is happening. */
  readonly what: string
  /** The likely causes. */
  readonly causes: string
  /** What to do. */
  readonly advice: string
}

export interface VerdictRow extends VerdictWording {
  /** red: someone has to act. amber: look at it. grey: nothing to do, but know it. plain: all is well. */
  readonly colour: Colour
  /** What to check, one by one. */
  readonly questions: readonly string[]
  /** Better words, and another colour, where the fact `case` says more. */
  readonly variants?: Readonly<Record<string, Partial<VerdictWording> & { readonly colour?: Colour }>>
}

/** All codes: the one that weighs most first. */
export const verdictCodes = [
  "own_machine",
  "switched_off",
  "missing_data",
  "withheld",
  "everything_failing",
  "stuck_in_processing",
  "several_in_a_row",
  "failure_spike",
  "backlog_growing",
  "same_hour_daily",
  "no_event_arrived",
  "none_matched",
  "paused",
  "unused",
  "scattered_failures",
  "healthy",
] as const
export type VerdictCode = (typeof verdictCodes)[number]

/** The three questions of a diagnosis where everything fails. */
const threeQuestions = [
  "Did someone change the credentials there, revoke access, or change the Authorization here?",
  "Did the destination change its address, its API version or what it expects?",
  "Is there an outage at the destination? Its status page says so; so does a plain request from another place.",
] as const

const notOnUs =
  "If the same request from another machine gets through, it is the network in between; if not, the other side."

export const verdictTable: Readonly<Record<VerdictCode, VerdictRow>> = {
  own_machine: {
    title: "Waybill's own machine or network",
    what: "Nothing that Waybill tried to reach since {since_at|a while ago} could be connected to: [{integrations} integrations at {hosts} hosts|all integrations] at once.",
    causes: "Waybill's machine has lost its network or its name server, or a firewall in front of it lets nothing out.",
    advice:
      "Nothing to do at the endpoints. Whoever runs Waybill checks its network and DNS; waybill doctor tries them. What waits goes out by itself when the network is back.",
    colour: "amber",
    questions: [],
    variants: {
      sender_fault: {
        what: "Waybill's own machine has not been able to send anything since {since_at|a while ago}: the system says so itself.",
        causes: "No route to any network, no name server, or no file handles, ports or memory left.",
      },
    },
  },
  switched_off: {
    title: "Switched off",
    what: "The integration is switched off[ since {off_at}], so nothing is sent to it.",
    causes: "Somebody switched it off.",
    advice: "Enable it if events are to go out again, then replay what it missed with POST /v1/recoveries.",
    colour: "grey",
    questions: [],
    variants: {
      waybill: {
        title: "Switched off by Waybill",
        what: "Waybill switched the integration off[ at {off_at}][ ({cause})], so nothing is sent to it.",
        causes: "The endpoint answered 410, which means that it is gone for good, or failed for too long.",
        advice:
          "Mend the endpoint or its address, enable the integration, and replay what it missed with POST /v1/recoveries.",
        colour: "red",
      },
    },
  },
  missing_data: {
    title: "Events lack a field",
    what: "{count|Some} of the {routed|all} events of the last 24 hours were not sent because they lack [{field}|a field that the integration needs].",
    causes: "The app's SDK is not set up to hand it over, or did so only after the event; or the sender leaves it out.",
    advice:
      "Set [{field}|it] on the profile or in the event before it is sent, then replay the events that were withheld with POST /v1/recoveries.",
    colour: "amber",
    questions: [],
    variants: {
      nothing_sent: {
        title: "Nothing is sent: events lack a field",
        what: "Nothing was sent in the last 24 hours, because {count|some} of {routed|all} events lack [{field}|a field that the integration needs].",
        colour: "red",
      },
    },
  },
  withheld: {
    title: "Events are withheld",
    what: "{count|Some} events of the last 24 hours were held back, the reason being: {reason_title|the reason beside it}.",
    causes: "Those of this reason.",
    advice: "What the reason advises.",
    colour: "amber",
    questions: [],
    variants: {
      nothing_sent: {
        title: "Nothing is sent: events are withheld",
        what: "Nothing was sent in the last 24 hours: {count|some} events were held back, the reason being: {reason_title|the reason beside it}.",
        colour: "red",
      },
    },
  },
  everything_failing: {
    title: "Everything fails",
    what: "All {attempts_text|attempts} since {since_at|a while ago} failed, at {events_text|several events}; [nothing has got through since {last_success_at}|nothing has got through in the last 30 days].",
    causes: "Credentials or connectivity, mostly: what fails without exception was changed, moved or is down.",
    advice:
      "Go through the three questions, mend what you find, send a test event, then replay what failed with POST /v1/recoveries.",
    colour: "red",
    questions: threeQuestions,
    variants: {
      no_token: {
        title: "Everything fails: no access token",
        causes:
          "The token endpoint gives no token: it refuses the client or its secret, is down, or its URL leads elsewhere.",
        advice:
          "Read what it answered under the last errors, correct auth in the integration's configuration, send a test event, then replay what failed with POST /v1/recoveries.",
      },
      credentials: {
        title: "Everything fails: credentials",
        causes:
          "The other side refuses who is asking[ (status {status})]: the token is wrong, has expired or was revoked.",
        advice:
          "Get a valid token from the other side, set it as Authorization, send a test event, then replay what failed with POST /v1/recoveries.",
      },
      address: {
        title: "Everything fails: wrong address",
        causes: "There is nothing at this address[ (status {status})]: a typo, or the endpoint has moved.",
        advice:
          "Compare the URL with what the other side documents, correct it, send a test event, then replay what failed with POST /v1/recoveries.",
      },
      api_changed: {
        title: "Everything fails: the requests are refused",
        causes: "The other side refuses what it is sent[ (status {status})]: its API changed, or the format here did.",
        advice:
          "Read its answer under the last errors, compare the body with what it documents, then replay what failed with POST /v1/recoveries.",
      },
      rate_limited: {
        title: "Everything fails: too many requests",
        causes: "The other side answers 429: it is sent more than it allows.",
        advice: "Raise the limit there, or set max_per_second here.",
      },
      outage: {
        title: "Everything fails: an outage",
        causes: "The endpoint is down or overloaded: it answers with errors of its own, or too late.",
        advice: "Send it a plain request to see whether it answers at all. What waits is tried again by itself.",
      },
      connectivity: {
        title: "Everything fails: no connection",
        causes: `No connection comes about: the server is down, its name or certificate is wrong, or a firewall is in between. ${notOnUs}`,
        advice:
          "Check name, address, certificate and firewall of the endpoint, send a test event, then replay what failed with POST /v1/recoveries.",
      },
    },
  },
  stuck_in_processing: {
    title: "Stuck in processing",
    what: "The oldest event has been due since {since_at|a while ago}, for {late_ms|more than 15 min}, and has not been sent.",
    causes: "Waybill has room to send it and does not: that is Waybill's own fault, not the endpoint's.",
    advice:
      "Whoever runs Waybill looks at its log and at GET /v1/status, and restarts it if nothing else helps. Nothing is lost.",
    colour: "red",
    questions: [],
    variants: {
      full: {
        title: "Events wait for a slow endpoint",
        what: "The oldest event has been due since {since_at|a while ago}, for {late_ms|more than 15 min}: all places are taken by requests that the endpoint has not answered yet.",
        causes: "The endpoint answers more slowly than events come in: it is overloaded, or works before it answers.",
        advice: "Have it answer 2xx first and work later, or raise max_concurrent if it can bear more at a time.",
        colour: "amber",
      },
      sending: {
        what: "A request has been under way since {since_at|a while ago}, longer than any time limit allows.",
        causes: "Waybill has lost sight of it: that is Waybill's own fault, not the endpoint's.",
      },
    },
  },
  several_in_a_row: {
    title: "Several failures in a row",
    what: "The last {attempts|several} attempts failed in the same way, at {events_text|several events}[: {error}].",
    causes: "A cause that does not pass by itself is likely when the same error comes again and again.",
    advice:
      "Look at the last errors: what the other side answered says what to mend. What its policy tries again goes out by itself meanwhile.",
    colour: "amber",
    questions: [],
    variants: {
      no_token: {
        causes:
          "The token endpoint gives no token: it refuses the client or its secret, is down, or its URL leads elsewhere.",
        advice: "Read what it answered under the last errors, and correct auth in the integration's configuration.",
      },
      credentials: {
        causes: "The other side refuses who is asking: the token has probably expired or was changed.",
        advice: "Compare the Authorization with a valid token of the other side, and set the new one.",
      },
      address: {
        causes: "There is nothing at this address: a typo, or the endpoint has moved.",
        advice: "Compare the URL with what the other side documents.",
      },
      api_changed: {
        causes: "The other side refuses what it is sent: its API or the format of the body changed.",
        advice: "Read what it answered under the last errors, and compare the body with what it documents.",
      },
      rate_limited: {
        causes: "The other side is sent more than it allows.",
        advice: "Raise the limit there, or set max_per_second here.",
      },
      outage: {
        causes: "The endpoint is down, overloaded or being restarted.",
        advice:
          "Nothing to do if it recovers in a few minutes: what its policy tries again goes out by itself. Else look at the server.",
      },
      connectivity: {
        causes: `No connection comes about: the server is down, or its name, certificate or firewall is wrong. ${notOnUs}`,
        advice:
          "Check that the server runs and can be reached. What its policy tries again goes out by itself meanwhile.",
      },
    },
  },
  failure_spike: {
    title: "A spike in failures",
    what: "Since {since_at|a while ago} {errors|many} of {attempts|several} attempts have failed; before, [it was {usual_percent} % of them|few did].",
    causes: "An outage at the destination, expired credentials or a changed API.",
    advice: "Check under the last errors whether they go on. What its policy tries again goes out by itself meanwhile.",
    colour: "amber",
    questions: [],
    variants: {
      outage: {
        title: "A spike in failures: an outage",
        causes: "The endpoint is partly down or overloaded: it answers with errors of its own, or too late.",
        advice:
          "Look at the server's health. If it gets more than it can handle, set max_per_second or max_concurrent.",
      },
      connectivity: {
        title: "A spike in failures: no connection",
        causes: `Connections fail on and off: one of several servers is down, or the network in between is. ${notOnUs}`,
        advice: "Check each of the addresses behind the name, and what stands between.",
      },
      no_token: {
        title: "A spike in failures: no access token",
        causes:
          "The token endpoint gives no token, for some of what is sent: it is partly down, or gets too many requests.",
        advice: "Read what it answered under the last errors, and look at the authorization server's health.",
      },
      credentials: {
        title: "A spike in failures: credentials",
        causes: "A credential has expired or was revoked, for some of what is sent.",
        advice:
          "Compare the Authorization with a valid token, and set the new one; then replay what failed with POST /v1/recoveries.",
        colour: "red",
      },
      api_changed: {
        title: "A spike in failures: a changed API",
        causes: "The other side has begun to refuse what it took before: an update there, or a new kind of event here.",
        advice: "Read what it answers under the last errors, and compare the body with what it documents.",
        colour: "red",
      },
      address: {
        title: "A spike in failures: the address",
        causes: "Part of the requests go to an address where nothing is any more.",
        advice: "Compare the URL with what the other side documents.",
        colour: "red",
      },
      rate_limited: {
        title: "A spike in failures: too many requests",
        causes: "More events come in than the other side allows in a time.",
        advice: "Raise the limit there, or set max_per_second here.",
      },
      over: {
        title: "A spike in failures that is over",
        what: "From {since_at|a while ago} to {until_at|a while ago} {errors|many} of {attempts|several} attempts failed; since then they get through.",
        advice:
          "Nothing to do, unless events failed for good meanwhile: those can be replayed with POST /v1/recoveries.",
        colour: "grey",
      },
    },
  },
  backlog_growing: {
    title: "The backlog grows",
    what: "{waiting_text|Many events} wait, {growth|many} more than three hours ago: more come in than go out.",
    causes: "More events come in than the endpoint takes.",
    advice: "Make the endpoint faster, or raise max_concurrent or max_per_second if it can bear more.",
    colour: "amber",
    questions: [],
    variants: {
      rate: {
        causes: "More events come in than max_per_second lets out.",
        advice: "Raise max_per_second if the endpoint can take more.",
      },
      full: {
        causes: "The endpoint answers more slowly than events come in.",
        advice: "Have it answer 2xx first and work later, or raise max_concurrent if it can bear more at a time.",
      },
      resting: {
        causes: "The endpoint fails more often than it succeeds, so it is left to rest.",
        advice: "Mend the endpoint. The backlog goes out by itself, oldest first, as it recovers.",
      },
    },
  },
  same_hour_daily: {
    title: "Failures at the same hour each day",
    what: "For {days|several} days attempts have failed [between {from_hour}:00 and {to_hour}:00 UTC|at the same hour], {errors|many} of {attempts|several} in all; at other hours hardly any.",
    causes: "Something happens there each day at this hour: a backup, a restart, a job that takes all the server has.",
    advice:
      "Ask the other side what runs at that hour. Retries carry the events over it, unless it lasts longer than they do.",
    colour: "amber",
    questions: [],
  },
  no_event_arrived: {
    title: "No events arrive",
    what: "No event has come in since {since_at|a while ago}. At these hours of the {days|several} other days there were {expected|some}, give or take.",
    causes: "The source has nothing to report, cannot reach Waybill, or its API key was revoked or has expired.",
    advice:
      "Send a test event from the source and see whether it appears. GET /v1/rejections shows what was refused; GET /v1/api-keys when each key last sent one.",
    colour: "amber",
    questions: [],
  },
  none_matched: {
    title: "Events arrive, none is for this integration",
    what: "{arrived|Some} events have come in since {since_at|a while ago}, and none of them was for this integration[; at these hours of {days} other days {expected} were].",
    causes:
      "The types that arrive are not those that are switched on[: {named} is, {near} arrives], the filter leaves them out, or they belong to other apps.",
    advice:
      "Compare the types that arrive with those that are switched on: small and capital letters count. Then look at the filter and the apps.",
    colour: "amber",
    questions: [],
  },
  paused: {
    title: "Paused",
    what: "The integration is paused[; waiting: {waiting_text}].",
    causes: "Somebody paused it.",
    advice: "Resume it; what waits then goes out, oldest first. Payloads are kept for a limited time only.",
    colour: "grey",
    questions: [],
  },
  unused: {
    title: "Nothing to judge by",
    what: "No event has come for this integration[ since {since_at}].",
    causes: "It is new, or what it is for happens rarely.",
    advice: "Send a test event to see that it works.",
    colour: "plain",
    questions: [],
  },
  scattered_failures: {
    title: "A few failures, all is well",
    what: "{errors|Some} of {attempts|several} attempts failed in the last 24 hours, and what failed has got through since or is being tried again.",
    causes: "A brief hiccup of the destination or the network.",
    advice: "Nothing to do: occasional failures are normal.",
    colour: "plain",
    questions: [],
    variants: {
      none_through: {
        title: "Nothing got through in the last 24 hours",
        what: "{errors_text|Some attempts} failed in the last 24 hours, and none got through[; failed for good: {lost_text}].",
        causes:
          "A wrong address or credential, a server that is down, or a brief hiccup: so few attempts do not tell which.",
        advice:
          "Read what the other side answered under the last errors, mend it and send a test event. What its policy tries again goes out by itself; what failed for good is sent again with POST /v1/recoveries.",
        colour: "amber",
      },
      some_lost: {
        title: "A few failures",
        what: "{errors|Some} of {attempts|several} attempts failed in the last 24 hours, and {failed|some} events failed for good.",
        causes: "Single events that the other side refuses: a duplicate, invalid data, a field that is missing.",
        advice: "Look at what failed, mend it and retry by hand. The rest gets through.",
        colour: "amber",
      },
    },
  },
  healthy: {
    title: "Healthy",
    what: "All [{attempts} attempts|attempts] of the last 24 hours got through.",
    causes: "",
    advice: "Nothing to do.",
    colour: "plain",
    questions: [],
    variants: {
      recovered: { what: "The attempts since {since_at|a while ago} got through." },
      idle: { what: "Nothing was sent in the last 24 hours, and at these hours that is not unusual." },
    },
  },
}
