/** How the dashboard is built: to dist/, which src/api/dashboard.ts serves. `npm run dev` talks to a Waybill on port 8080. */
import react from "@vitejs/plugin-react"
import { defineConfig } from "vite"

const api = process.env["WAYBILL_URL"] ?? "http://127.0.0.1:8080"

export default defineConfig({
  plugins: [react()],
  // The SDK is a folder beside this one: what it imports is found here.
  resolve: { preserveSymlinks: true },
  build: {
    target: "es2023",
    // A policy without `unsafe-inline` lets no data: font or script in.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 600,
    modulePreload: { polyfill: false },
  },
  server: { proxy: { "/v1": api, "/openapi.json": api, "/readyz": api } },
})
