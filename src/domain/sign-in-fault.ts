/**
 * Why somebody who came back from the identity provider was not let in. A page's address holds the code alone, so that
 * nobody can make the page of the sign-in say something; the words stand here.
 */
export const signInFaults = {
  not_begun:
    "This sign-in was not begun in this browser, or longer than ten minutes ago. Begin again with the button below.",
  declined: "The identity provider did not let you in. Begin again, or ask its administrator to let you use Waybill.",
  code_refused:
    "The identity provider did not take the code of this sign-in. Begin again; each code works once, and soon.",
  no_address: "The identity provider told no mail address of yours. Have its administrator release `email` to Waybill.",
  not_verified:
    "The identity provider has not verified that your mail address is yours. Verify it there, and sign in again.",
  other_domain: "Mail addresses of your domain may not sign in here. Use one that your organisation lets in.",
  uninvited: "Nobody with your address is known or invited here. Ask an owner or admin of a project for an invitation.",
  another:
    "The identity provider knows your address under another account than before, so that it may be somebody else's by now. The operator lets you in with `waybill people reset`.",
  nowhere: "You belong to no project any more. Ask an owner or admin of one for an invitation.",
  disabled: "This account was switched off. Ask the operator of this Waybill.",
  too_often: "There were too many tries to sign in from this address. Wait a quarter of an hour, then begin again.",
  identity_provider:
    "The identity provider cannot be used just now. Try again in a moment; if it stays so, the operator finds the cause in Waybill's log.",
  unavailable: "Waybill's database does not answer just now, so nobody can be let in. Try again in a moment.",
} as const satisfies Record<string, string>

export type SignInFault = keyof typeof signInFaults

/** All codes, in the order of the table. */
export const signInFaultCodes = Object.keys(signInFaults) as readonly SignInFault[]
