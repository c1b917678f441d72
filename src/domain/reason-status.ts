/** The reasons that an answer gives: what each status means, what mostly causes it, and what to do about it. */
import type { ReasonCode, ReasonRow, Wording } from "./reason.ts"

const url = "/config[/{environment}/url]"
const authorization = "/config[/{environment}/authorization]"

/** A receiver may refuse an event, so whoever runs it needs to know how. */
const refuse =
  "[To refuse an event for good, let the endpoint answer with a status at which the policy stops ({stop}).|To refuse an event for good, let the endpoint answer 400–404 under a policy that stops at those, as the subscription preset does.]"

const sendPlain =
  "Look at the server's health and its log, and send it a plain request to see whether it answers at all. Where it is somebody else's, see their status page."

const credentialsChanged =
  "[The credentials here last changed at {credentials_changed_at}.|The integration's revisions show when the credentials last changed here.][ The token comes from {token_host}, and a fresh one is refused as well: look at the scope, the audience, and what the client may do.]"

const rejections: Readonly<Record<string, Partial<Wording>>> = {
  "400": {
    title: "Bad request (400)",
    what: "{host|The endpoint} answered 400: it cannot make sense of the request[, and names the field {field}].",
    causes: "Bad syntax: mostly a simple mistake in the format of the body, in a template or in a header.",
    advice: `Compare the body that was sent with what the endpoint documents. Try fixed values in place of variables, or send it to a neutral endpoint such as waybill listen to see exactly what arrives. ${refuse}`,
    setting: "/config",
  },
  "401": {
    title: "Not authorized (401)",
    what: "{host|The endpoint} answered 401: it asks for credentials that it knows.",
    causes: "The token is wrong, has expired, was revoked, or is in the wrong header.",
    advice: `Check the token and the header it belongs in; the Authorization value is sent exactly as typed, so a prefix such as Bearer is part of it. Production and sandbox have one each. ${credentialsChanged}`,
    setting: authorization,
  },
  "403": {
    title: "Forbidden (403)",
    what: "{host|The endpoint} answered 403: it does not allow this request.",
    causes:
      "The token is wrong, has expired, is in the wrong header or lacks a permission; or a firewall there turns this address away.",
    advice: `Check the token, the header it belongs in and what it may do; the Authorization value is sent exactly as typed. ${credentialsChanged}`,
    setting: authorization,
  },
  "404": {
    title: "Not found (404)",
    what: "{host|The endpoint} answered 404: there is nothing at this address.",
    causes:
      "A typo in the URL, or the address has moved: a new path, a new version of the API, a changed infrastructure.",
    advice: `Compare the URL letter by letter with what the endpoint documents, its path too, and correct it. ${refuse}`,
    setting: url,
  },
  "405": {
    title: "Method not allowed (405)",
    what: "{host|The endpoint} answered 405: this address does not take requests of this kind.",
    causes: "The URL leads to the wrong address, such as a page for people, or the address has moved.",
    advice: "Correct the URL: it has to be one that takes POST requests.",
    setting: url,
  },
  "409": {
    title: "Duplicate record (409)",
    what: "{host|The endpoint} answered 409: it has this record already, or the record is being changed.",
    causes: "An earlier attempt got through without Waybill hearing of it, or another system made the same record.",
    advice:
      "Look the record up there. If it is right, nothing is missing: let the endpoint answer 2xx to a webhook-id that it has seen, or add 409 to the policy's success.",
    setting: "/policy/success",
  },
  "410": {
    title: "Gone (410)",
    what: "{host|The endpoint} answered 410: this address has been given up for good.",
    causes: "The endpoint was retired, or its owner wants no more events.",
    advice:
      "Correct the URL, or switch the integration off. With on_gone set to disable, a 410 switches it off by itself.",
    setting: url,
  },
  "413": {
    title: "Too large (413)",
    what: "{host|The endpoint} answered 413: the request is too large for it.",
    causes: "Its limit, or that of a proxy before it, is smaller than this event.",
    advice: "Raise the limit there, or send less: have the event hold a reference in place of the content.",
    setting: null,
  },
  "415": {
    title: "Unsupported format (415)",
    what: "{host|The endpoint} answered 415: it does not take this content type.",
    causes:
      "It expects another format than the integration sends; Waybill sends application/json unless the format says otherwise.",
    advice: "Let the endpoint take Content-Type application/json, or choose the format that it knows.",
    setting: "/config/format",
  },
  "422": {
    title: "Validation failed (422)",
    what: "{host|The endpoint} answered 422: it understands the request but does not accept [the field {field}|its content].",
    causes:
      "[The field {field} is missing or holds|A required field is missing, or a field holds] a value that the endpoint does not allow.",
    advice: `Read the answer, compare [the field {field}|the body] with what the endpoint documents, and mend the event at its source or the mapping here. ${refuse}`,
    setting: "/config",
  },
}

const serverErrors: Readonly<Record<string, Partial<Wording>>> = {
  "408": {
    title: "Request timed out there (408)",
    what: "{host|The endpoint} answered 408: it did not get the whole request in time.",
    causes: "It is overloaded, or the connection to it is very slow.",
  },
  "425": {
    title: "Too early (425)",
    what: "{host|The endpoint} answered 425: it wants this request a little later.",
    causes:
      "It does not take requests in the first moments of a connection, or the record they speak of is not there yet.",
    advice: "Nothing to do as long as a later attempt gets through. Else look at the server's log.",
  },
  "500": {
    title: "Server error (500)",
    causes: "The server is down or overloaded in some way, or its code failed on this event.",
    advice: `${sendPlain} ${refuse}`,
  },
  "502": {
    title: "Bad gateway (502)",
    what: "{host|The endpoint} answered 502: a gateway there got no valid answer from the server behind it.",
    causes: "The server behind the gateway is down, restarting or overloaded.",
  },
  "503": {
    title: "Unavailable (503)",
    what: "{host|The endpoint} answered 503: it cannot take requests now[ and asks to be left alone for {retry_after_ms}].",
    causes: "It is down for maintenance or overloaded with requests.",
  },
  "504": {
    title: "Gateway time-out (504)",
    what: "{host|The endpoint} answered 504: a gateway there got no answer in time from the server behind it.",
    causes: "The server behind the gateway is overloaded, or does its work before it answers.",
    advice: `Let it answer 2xx first and do the work later. ${sendPlain}`,
  },
}

const unexpected: Readonly<Record<string, Partial<Wording>>> = {
  "1xx": {
    what: "{host|The endpoint} answered {status|1xx}, which announces an answer, and then gave none.",
    causes: "The server speaks another protocol at this address, such as WebSocket, or stopped half-way.",
    advice: "Set the URL to an address that takes plain HTTP requests.",
    setting: url,
  },
  "2xx": {
    causes: "The policy is stricter than the endpoint: a 2xx alone is not enough for it.",
    advice:
      "Let the endpoint answer {success|with a status that the policy calls success}, or widen the policy's success.",
  },
  "3xx": {
    title: "Redirect ({status|3xx})",
    what: "{host|The endpoint} answered {status|3xx}, a redirect[ to {location}]; redirects are never followed.",
    causes:
      "The address has moved, has a slash too many or too few, should begin with https, or stands behind a sign-in page.",
    advice:
      "Set the URL to the address that answers by itself[, which seems to be {location}]. If a 3xx means success there, add it to the policy's success, as the subscription preset does (200–399).",
    setting: url,
  },
}

/** Rows of the table of reasons for answers that were no success. */
export const statusRows = {
  rejected: {
    title: "Rejected[ ({status})]",
    what: "{host|The endpoint} answered {status|with a 4xx status}: it got the request and does not accept it.",
    causes:
      "The integration is set up incorrectly, for example its URL or a key, or the receiving server is not set up to accept this event.",
    advice: `Read the answer, and go through the integration's set-up again beside the endpoint's documentation. ${refuse}`,
    setting: "/config",
    colour: "amber_then_red",
    triedAgain: "by_policy",
    classes: [],
    variants: { by: "status", wordings: rejections },
  },
  rate_limited: {
    title: "Too many requests (429)",
    what: "{host|The endpoint} answered 429: it gets more requests than it allows[, and asks to be left alone for {retry_after_ms}].",
    causes: "Its rate limit is exceeded, by this integration alone or together with other senders.",
    advice:
      "Raise the limit there, or set max_per_second here[ (now {max_per_second})] to what it allows. Retry-After is obeyed, up to 24 h.",
    setting: "/policy/max_per_second",
    colour: "amber_then_red",
    triedAgain: "yes",
    classes: [],
  },
  server_error: {
    title: "Server error[ ({status})]",
    what: "{host|The endpoint} answered {status|with a 5xx status}: it failed while it worked on the request.",
    causes: "The server is down or overloaded, or it cannot receive this event the way it is set up.",
    advice: sendPlain,
    setting: null,
    colour: "amber_then_red",
    triedAgain: "yes",
    classes: [],
    variants: { by: "status", wordings: serverErrors },
  },
  unexpected_status: {
    title: "Unexpected status[ ({status})]",
    what: "{host|The endpoint} answered [{status},|with] a status that the policy does not call success[ (it does {success})].",
    causes: "The endpoint does not keep to the usual meaning of statuses, or something else answers in its place.",
    advice: `Let the endpoint answer 2xx once it has the event, or widen the policy's success. ${refuse}`,
    setting: "/policy/success",
    colour: "amber_then_red",
    triedAgain: "by_policy",
    classes: [],
    variants: { by: "status", wordings: unexpected },
  },
  gone: {
    title: "Gone (410), integration switched off",
    what: "{host|The endpoint} answered 410: it wants no more events, so the integration was switched off[ at {off_at}].",
    causes: "The endpoint was retired, or its owner unsubscribed.",
    advice:
      "If that was meant, nothing is left to do but to remove the integration. Else correct the URL or the endpoint, enable the integration again and replay what it missed with POST /v1/recoveries. With on_gone set to as_status, a 410 is a rejection like any other.",
    setting: "/enabled",
    colour: "red",
    triedAgain: "no",
    classes: [],
  },
} as const satisfies Partial<Record<ReasonCode, ReasonRow>>
