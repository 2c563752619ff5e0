-- Draws the ratios against their targets, as an SVG file. All colours are of middle lightness and
-- there is no ground, so the chart can be read on light and on dark pages.

local width, label_width, bar_width, row_height, top = 860, 330, 330, 26, 52
local most = 2 -- targets that fit in the width; longer bars are cut

local style = [[
<style>
  text { font: 13px system-ui, sans-serif; fill: #7d8590; }
  .met { fill: #2f9e6e; }
  .missed { fill: #d9822b; }
  .target { stroke: #7d8590; stroke-width: 1.5; stroke-dasharray: 4 3; }
</style>
]]

local function escape(text)
  return (text:gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }))
end

local function text(x, y, anchor, words)
  return ('<text x="%d" y="%d" text-anchor="%s">%s</text>\n'):format(x, y, anchor, escape(words))
end

local function bar(y, result)
  local length = math.min(result.cost, most) / most * bar_width
  return text(label_width - 10, y + 17, "end", result.line.what)
    .. ('<rect class="%s" x="%d" y="%d" width="%.1f" height="%d" rx="2"/>\n'):format(
      result.cost <= 1 and "met" or "missed", label_width, y + 4, length, row_height - 8)
    .. text(label_width + bar_width + 10, y + 17, "start", result.label)
end

-- Writes the chart of all results that have a target into the file.
return function(path, results)
  local bars, y = {}, top
  for _, result in ipairs(results) do
    if result.cost then
      bars[#bars + 1] = bar(y, result)
      y = y + row_height
    end
  end
  local target = label_width + bar_width / most
  local file <close> = assert(io.open(path, "w"))
  local head = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img">\n'
  file:write(head:format(width, y + 12), style,
    "<title>lthread: ratios to the floors, against their targets</title>\n",
    text(label_width, 18, "start", "cost in relation to the target: shorter is better"),
    text(math.floor(target), 40, "middle", "target"), table.concat(bars),
    ('<line class="target" x1="%d" y1="46" x2="%d" y2="%d"/>\n'):format(target, target, y + 4),
    "</svg>\n")
end
