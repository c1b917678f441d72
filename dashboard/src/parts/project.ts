/** The project that is worked in, with its settings and the tag that they are changed with. */
import { useQuery } from "@tanstack/react-query"
import { sessionQuery, waybill } from "../waybill.ts"

export function useProject() {
  const { data: session } = useQuery(sessionQuery)
  const id = session?.project.id
  return useQuery({
    queryKey: ["project", id, "tagged"],
    enabled: id !== undefined,
    // A form stands on it: what somebody types is not taken from under them.
    refetchOnWindowFocus: false,
    queryFn: async () => {
      const { data, response } = await waybill.GET("/v1/projects/{id}", { params: { path: { id: id ?? "" } } })
      if (data === undefined) throw new Error("The answer has no body.")
      return { project: data, tag: response.headers.get("etag") }
    },
  })
}
