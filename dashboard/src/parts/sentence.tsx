/** A sentence of the API: what it tells to do by a call, this page does by a link. */
import { type About, piecesOf } from "./api-calls.ts"
import { LinkTo } from "./link.tsx"

export function Sentence({ text, about }: { readonly text: string; readonly about?: About | undefined }) {
  return (
    <>
      {piecesOf(text, about).map((piece, i) =>
        typeof piece === "string" ? (
          piece
        ) : (
          <LinkTo
            // biome-ignore lint/suspicious/noArrayIndexKey: the pieces of one sentence stay in their order
            key={i}
            to={piece.to as never}
            {...(piece.search && { search: piece.search as never })}
            inherit
          >
            {piece.words}
          </LinkTo>
        ),
      )}
    </>
  )
}
