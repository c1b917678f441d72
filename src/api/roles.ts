/** `GET /v1/roles`: what people are in a project and what each may do, and what the scopes of keys allow. */
import type { FastifyInstance } from "fastify"
import { Type } from "typebox"
import { isWhole, roleNames, roles, scopeNames, scopes } from "../domain/scope.ts"
import { responses } from "./schemas.ts"
import { RoleName } from "./session-view.ts"

const ScopeName = Type.Enum([...scopeNames])
const RolesView = Type.Object({
  roles: Type.Array(
    Type.Object({
      name: RoleName,
      may: Type.String({ description: "In a sentence." }),
      scopes: Type.Array(ScopeName),
    }),
    { description: "Who may most comes first." },
  ),
  scopes: Type.Array(
    Type.Object({
      name: ScopeName,
      allows: Type.String({ description: "In a sentence." }),
      whole: Type.Boolean({
        description:
          "It is about the project as a whole: no key has it that is limited to an app, an environment or a source.",
      }),
    }),
  ),
})

export function roleRoutes(server: FastifyInstance): void {
  server.get(
    "/v1/roles",
    {
      config: { scope: "any" },
      schema: {
        operationId: "listRoles",
        summary: "Says what each role and each scope allows",
        tags: ["people"],
        response: responses({ 200: RolesView }, 401),
      },
    },
    async () => ({
      roles: roleNames.map(name => ({ name, may: roles[name].may, scopes: [...roles[name].scopes] })),
      scopes: scopeNames.map(name => ({ name, allows: scopes[name], whole: isWhole(name) })),
    }),
  )
}
