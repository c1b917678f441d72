/** `/problems/<code>`: what the `type` of a problem document leads to, for whoever follows it. */
import type { FastifyInstance } from "fastify"
import { type Static, Type } from "typebox"
import type { Context } from "./context.ts"
import { Problem, type ProblemCode, problems, problemType } from "./problem.ts"
import { responses } from "./schemas.ts"

const ProblemTypeView = Type.Object({
  type: Type.String({ format: "uri" }),
  code: Type.String(),
  status: Type.Integer({ description: "The status that it is answered with." }),
  title: Type.String(),
  advice: Type.String({ description: "What to do about it, in Markdown." }),
})
const CodePath = Type.Object({ code: Type.String({ maxLength: 64 }) })

export function problemTypeRoutes(server: FastifyInstance, { publicUrl }: Context): void {
  server.get<{ Params: Static<typeof CodePath> }>(
    "/problems/:code",
    {
      config: { public: true },
      schema: {
        operationId: "getProblemType",
        summary: "Explains a kind of problem",
        description: "The `type` of every problem document leads here.",
        tags: ["problems"],
        security: [],
        params: CodePath,
        response: responses({ 200: ProblemTypeView }, 404, 422),
      },
    },
    async (request): Promise<Static<typeof ProblemTypeView>> => {
      const { code } = request.params
      if (!isCode(code)) throw new Problem("not_found", `There is no problem ${code}. Codes are those of "code".`)
      const { status, title, advice } = problems[code]
      return { type: problemType(code, publicUrl()), code, status, title, advice }
    },
  )
}

function isCode(text: string): text is ProblemCode {
  return Object.hasOwn(problems, text)
}
