-- Draws the figures of other libraries, as they were measured side by side:
-- lua bars.lua > doc/peers.svg. Those with a star are from another day, on a machine of the same
-- kind.

local panels = {
  {
    title = "start a thread with the standard libraries, and join it: microseconds",
    { "lthread", 11 }, { "a bare C thread with a state *", 36 }, { "CPython 3.11 _thread", 46 },
    { "llthreads2", 72 }, { "luv", 149 }, { "Lanes 4.0.1", 232 }, { "effil *", 244 },
    { "cqueues", 355 },
  },
  {
    title = "get and set a field that threads share: nanoseconds",
    { "lthread", 78 }, { "effil *", 378 }, { "Lanes 4.0.1, linda", 1296 },
  },
  {
    title = "an integer to another thread and back, over two queues: microseconds",
    { "lthread", 0.42 }, { "Lanes 4.0.1, lindas", 52 },
  },
}

local width, label_width, bar_width, row_height = 760, 250, 420, 24

local style = [[
<style>
  text { font: 13px system-ui, sans-serif; fill: #7d8590; }
  .title { font-weight: bold; }
  .other { fill: #9aa4af; }
  .ours { fill: #2f9e6e; }
</style>
]]

local function text(x, y, anchor, words, class)
  return ('<text x="%d" y="%d" text-anchor="%s"%s>%s</text>\n'):format(x, y, anchor,
    class and (' class="%s"'):format(class) or "", words)
end

local parts, y = {}, 0
for _, panel in ipairs(panels) do
  local most = panel[#panel][2]
  y = y + 34
  parts[#parts + 1] = text(10, y, "start", panel.title, "title")
  y = y + 8
  for _, figure in ipairs(panel) do
    local name, value = table.unpack(figure)
    local length = math.max(value / most * bar_width, 2)
    parts[#parts + 1] = text(label_width - 10, y + 16, "end", name)
      .. ('<rect class="%s" x="%d" y="%d" width="%.1f" height="%d" rx="2"/>\n'):format(
        name == "lthread" and "ours" or "other", label_width, y + 4, length, row_height - 8)
      .. text(label_width + length // 1 + 8, y + 16, "start", tostring(value))
    y = y + row_height
  end
end

local head = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img">\n'
io.write(head:format(width, y + 12), style,
  "<title>lthread beside other libraries: shorter is better</title>\n", table.concat(parts),
  "</svg>\n")
