/** The report that the other side's support asks for, as Markdown with secrets masked. */
import { Group, Stack, Text } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { given } from "waybill-sdk"
import { CodeBlock } from "../parts/code.tsx"
import { CopyText } from "../parts/copied.tsx"
import { Answered } from "../parts/page.tsx"
import { waybill } from "../waybill.ts"

export function ReportText({ id }: { readonly id: string }) {
  const query = useQuery({
    queryKey: ["integration", id, "report"],
    queryFn: async (): Promise<string> =>
      String(
        await given<unknown>(
          waybill.GET("/v1/integrations/{id}/report", {
            params: { path: { id }, query: { format: "markdown" } },
            parseAs: "text",
          }),
        ),
      ),
    staleTime: 0,
  })
  return (
    <Stack gap="sm">
      <Text size="sm">
        What the support of the other side asks for: the last 24 hours, the errors, the last requests and answers.
        Secrets are masked. Copy it into your mail or ticket.
      </Text>
      <Answered query={query}>
        {text => (
          <Stack gap="xs">
            <Group justify="flex-end">
              <CopyText text={text} label="Copy the report" />
            </Group>
            <CodeBlock text={text} label="The report" />
          </Stack>
        )}
      </Answered>
    </Stack>
  )
}
