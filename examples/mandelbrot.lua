-- Draws the Mandelbrot set into a PNG file, with one thread and with all processors. It wants
-- lua-zlib (Debian: lua-zlib), which compresses the picture.
--
--     lua5.4 examples/mandelbrot.lua [FILE [WIDTH]]

local _thread = require "lthread"
local futures = require "lthread.futures"
local has_zlib, zlib = pcall(require, "zlib")
if not has_zlib then
  io.stderr:write("mandelbrot: lua-zlib is missing: apt-get install lua-zlib\n")
  os.exit(false)
end

local path, width = arg[1] or "mandelbrot.png", math.tointeger(arg[2] or 900)
local height, most = width * 2 // 3, 300

-- How fast a point leaves the circle of radius 2; nil if it stays there.
local function escape(cx, cy)
  local x, y, xx, yy = 0.0, 0.0, 0.0, 0.0
  for i = 1, most do
    x, y = xx - yy + cx, 2 * x * y + cy
    xx, yy = x * x, y * y
    if xx + yy > 4 then return i + 1 - math.log(math.log(xx + yy) / 2, 2) end
  end
end

local function color(speed)
  if not speed then return "\0\0\0" end
  local t = (speed / most) ^ 0.4 * 6
  local function wave(shift) return (math.cos(t + shift) * 0.5 + 0.5) * 255 // 1 | 0 end
  return string.char(wave(3.4), wave(4.1), wave(5.0))
end

-- One line of the picture as PNG has it: how it is filtered (not), then its points.
local function draw_line(row)
  local points = {"\0"}
  local cy = (row - height / 2) / height * 2.4
  for column = 1, width do
    points[#points + 1] = color(escape((column - width * 0.7) / width * 3.6, cy))
  end
  return table.concat(points)
end

local function rows()
  local row = 0
  return function()
    row = row + 1
    if row <= height then return row end
  end
end

local function draw_with(threads)
  local pool <close> = futures.ThreadPoolExecutor(threads)
  local started, lines = _thread.monotonic(), {}
  for row, line in pool:map(draw_line, rows(), {chunksize = 8}) do lines[row] = line end
  return table.concat(lines), _thread.monotonic() - started
end

local function chunk(kind, data)
  return (">I4"):pack(#data) .. kind .. data .. (">I4"):pack(zlib.crc32()(kind .. data))
end

local function write_png(picture)
  local file <close> = assert(io.open(path, "wb"))
  file:write("\137PNG\r\n\26\n", chunk("IHDR", (">I4I4BBBBB"):pack(width, height, 8, 2, 0, 0, 0)),
    chunk("IDAT", (zlib.deflate()(picture, "finish"))), chunk("IEND", ""))
end

local processors = _thread.cpu_count()
local alone, seconds_alone = draw_with(1)
local together, seconds_together = draw_with(processors)
assert(alone == together)
write_png(together)
print(("%s: %d x %d points; one thread took %.2f s, %d took %.2f s: speed-up %.2f"):format(
  path, width, height, seconds_alone, processors, seconds_together,
  seconds_alone / seconds_together))
