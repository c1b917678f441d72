/** The reasons why no answer came: name, connection, TLS, protocol and time limits, by class of error. */
import type { ReasonCode, ReasonRow } from "./reason.ts"

const url = "/config[/{environment}/url]"
const timeLimit = "/policy/timeout_ms"
const auth = "/config[/{environment}/auth]"

const common = { colour: "amber_then_red", triedAgain: "yes", setting: url } as const

/** Rows of the table of reasons for requests that did not get through. */
export const networkRows = {
  dns_failed: {
    ...common,
    title: "Name not found",
    what: "The name {host|of the endpoint} could not be looked up in DNS[ ({error})].",
    causes: "A typo in the URL, a domain that has expired or moved, or a name server out of order.",
    advice: "Check the host in the URL, and look the name up on the machine that Waybill runs on.",
    classes: ["DNS_NOT_FOUND", "DNS_TEMPORARY"],
    variants: {
      by: "class",
      wordings: {
        DNS_NOT_FOUND: {
          what: "There is no such name in DNS as {host|that of the endpoint}[ ({error})].",
          causes: "A typo in the URL, or a domain that has expired, moved or not been set up yet.",
          advice: "Correct the host in the URL, or have its owner set the name up.",
        },
        DNS_TEMPORARY: {
          title: "Name server gave no answer",
          what: "No name server could say where {host|the endpoint} is[ ({error})].",
          causes: "The domain's name servers or the resolver of Waybill's machine are down or slow.",
          advice:
            "Mostly this passes. If it stays, look the name up on the machine that Waybill runs on, and see its resolver settings.",
        },
      },
    },
  },
  connection_refused: {
    ...common,
    title: "Connection refused",
    what: "{host|The endpoint} refused the connection[ ({error})].",
    causes:
      "Nothing listens on that port: the server is down or restarting, the port is wrong, or a firewall turns Waybill away.",
    advice:
      "Start the server or correct the port in the URL, then send it a plain request from the machine that Waybill runs on.",
    classes: ["ECONNREFUSED"],
  },
  connection_reset: {
    ...common,
    title: "Connection closed abruptly",
    what: "{host|The endpoint} closed the connection abruptly before it had answered (read ECONNRESET).",
    causes:
      "A protocol mismatch, such as plain HTTP to a TLS port, or the server's own idle time-out that closes connections in use. It is known of Node.js and Azure endpoints.",
    advice:
      "Check http or https and the port in the URL, look for restarts in the server's log, and raise the keep-alive or idle time-out of the server (keepAliveTimeout in Node.js) and of what stands before it.",
    classes: ["ECONNRESET"],
  },
  tls_failed: {
    ...common,
    title: "TLS failed",
    what: "No secure connection to {host|the endpoint} came about[ ({error})].",
    causes: "The port does not speak TLS, or the server's TLS version or certificate is not acceptable.",
    advice: "Check that the URL's port is the one for https, and test the server's TLS set-up.",
    classes: ["TLS_ERROR", "TLS_UNTRUSTED", "TLS_EXPIRED", "TLS_NAME_MISMATCH", "TLS_CLIENT_REFUSED"],
    variants: {
      by: "class",
      wordings: {
        TLS_UNTRUSTED: {
          title: "Certificate not trusted",
          what: "The certificate of {host|the endpoint} was not issued by an authority that is trusted here[ ({error})].",
          causes:
            "The certificate is self-signed, or the server does not send the certificates between its own and the authority's.",
          advice:
            "Install a certificate from a public authority, with the whole chain; or, where the authority is one of your own, set its certificate as tls.ca of the endpoint.",
        },
        TLS_CLIENT_REFUSED: {
          title: "Client certificate refused",
          what: "{host|The endpoint} ended the TLS connection[ ({error})]: it asks for a client certificate, and takes none but one that it knows.",
          causes:
            "No client certificate is set here, or it has expired, was revoked, or comes from an authority that the endpoint does not trust.",
          advice:
            "Set tls.certificate (with the certificates between it and its authority) and tls.key to what the endpoint's owner has given out or let in, and compare with the log there.",
          setting: "/config[/{environment}/tls]",
        },
        TLS_EXPIRED: {
          title: "Certificate expired",
          what: "The certificate of {host|the endpoint} has expired[ ({error})].",
          causes: "It was not renewed in time, or the renewed one was not loaded.",
          advice: "Renew the certificate there and have the server load it.",
        },
        TLS_NAME_MISMATCH: {
          title: "Certificate for another name",
          what: "The certificate that came is not for {host|the endpoint}[ ({error})].",
          causes: "The URL has another name than the certificate, or the name leads to another server.",
          advice: "Use a name that the certificate holds, or add this name to the certificate.",
        },
      },
    },
  },
  no_token: {
    ...common,
    setting: auth,
    title: "No access token",
    what: "The token endpoint[ {host}] gave no access token, so the event itself was not sent[: {detail}].",
    causes: "The client or its secret is wrong, or the token endpoint is not well.",
    advice: "Compare auth with what the owner of the token endpoint has given out, then send a test event.",
    classes: ["TOKEN_FAILED"],
    variants: {
      by: "cause",
      wordings: {
        refused: {
          title: "No access token: refused[ ({token_status})]",
          causes:
            "The client id or the client secret is wrong, has expired or was revoked; the scope or the audience is not allowed for this client; or the client has to be named in the other way (client_auth).",
          advice:
            "Compare client_id, client_secret, scope and audience letter by letter with what the authorization server shows, try the other client_auth, and look at its log. Then send a test event.",
        },
        unavailable: {
          title: "No access token: not available[ ({token_status})]",
          causes: "The authorization server is down, overloaded, or gets more requests for tokens than it allows.",
          advice:
            "Nothing to do here while retries are left: they ask again. If it stays, look at the authorization server's health or its status page.",
        },
        unusable: {
          title: "No access token: unusable answer[ ({token_status})]",
          causes:
            "The token URL leads to something else than a token endpoint, such as a sign-in page, or the answer is no JSON with an access_token of the type Bearer.",
          advice:
            "Correct token_url: authorization servers publish theirs as token_endpoint under /.well-known/openid-configuration or /.well-known/oauth-authorization-server.",
          setting: "/config[/{environment}/auth/token_url]",
        },
        unreachable: {
          title: "No access token: not reached",
          causes:
            "A typo in the token URL, an authorization server that is down or out of reach, or a certificate of its that is not trusted.",
          advice:
            "Check the host and the port in token_url, and send it a plain request from the machine that Waybill runs on. For a certificate of an authority of your own, set tls.ca.",
          setting: "/config[/{environment}/auth/token_url]",
        },
      },
    },
  },
  protocol_error: {
    ...common,
    title: "Not a valid HTTP answer",
    what: "{host|The endpoint} answered something that is not valid HTTP[ ({error})].",
    causes:
      "Another protocol on that port, headers that are broken or too large, a wrong Content-Length, or an upgrade that nobody asked for.",
    advice: "Check the port in the URL, then send a plain request with curl -v and look at what comes back.",
    classes: ["PROTOCOL_ERROR"],
  },
  network_error: {
    ...common,
    title: "Network error",
    what: "{host|The endpoint} could not be reached over the network[ ({error})].",
    causes:
      "No internet connection there or here, or no route to that network: a router or a firewall stands in between.",
    advice: "Restore the connection. While retries are left, Waybill sends the event again by itself.",
    classes: ["UNREACHABLE"],
  },
  timeout_connect: {
    ...common,
    title: "No connection in time",
    what: "No connection to {host|the endpoint} came about[ within {limit_ms}] (ETIMEDOUT).",
    causes: "The server is overloaded or down, a firewall drops what is sent to it, or the address is wrong.",
    advice:
      "Check the host and the port, whether the firewall there lets Waybill in, and whether the server answers a plain request.",
    classes: [{ class: "ETIMEDOUT", phases: ["dns", "connect", "tls"] }],
  },
  timeout_response: {
    ...common,
    setting: timeLimit,
    title: "No answer in time",
    what: "{host|The endpoint} accepted the connection but did not answer what was sent[ within {limit_ms}] (ESOCKETTIMEDOUT).",
    causes: "The server is overloaded with requests, or it does its work before it answers.",
    advice:
      "Answer 2xx first and work later: check no more than the form of the event, put it in a queue, and answer within the limit[ of {limit_ms}]. If it has to take longer, raise timeout_ms (up to 2 min).",
    classes: ["ESOCKETTIMEDOUT", { class: "ETIMEDOUT", phases: ["send"] }],
  },
  timeout_body: {
    ...common,
    setting: timeLimit,
    title: "Answer not complete in time",
    what: "{host|The endpoint} began to answer, but the head of its answer was not complete[ within {limit_ms}] (ETIMEDOUT).",
    causes: "The server is overloaded with requests, does its work while it answers, or sends its answer very slowly.",
    advice:
      "Answer 2xx first and work later: send the status and all headers at once, within the limit[ of {limit_ms}]. If it has to take longer, raise timeout_ms (up to 2 min).",
    classes: [{ class: "ETIMEDOUT", phases: ["headers", "body"] }],
  },
} as const satisfies Partial<Record<ReasonCode, ReasonRow>>
