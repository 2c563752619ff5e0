-- The programs of doc/seeing.md run, are traced, and can be drawn.
local child = require "fixtures.child"
local traces = require "support.traces"

local interpreter = os.getenv "LTHREAD_LUA" or "lua5.4"

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

local function draw(path, options)
  local pipe <close> = io.popen(("'%s' tools/trace.lua %s '%s' 2>&1"):format(interpreter,
    options or "", path))
  return pipe:read "a"
end

-- That elements are closed in their order, and all text is escaped.
local function check_xml(text)
  local open = {}
  for slash, name, rest in text:gmatch "<(/?)(%a+)([^<>]*)>" do
    if slash == "/" then
      assert.equal(table.remove(open), name)
    elseif rest:sub(-1) ~= "/" then
      table.insert(open, name)
    end
  end
  assert.equal(0, #open)
  assert.is_nil(text:gsub("<[^<>]*>", ""):find "[<>]")
  assert.is_nil(text:gsub("&%a+;", ""):find "&")
end

describe("the document on seeing", function()
  local text = read "doc/seeing.md"

  local function trace_of(heading)
    local path = os.tmpname()
    local program = text:match("\n## " .. heading .. "\n.-\n```lua\n(.-)```")
    assert.equal("status 0\n", child(program, "LTHREAD_TRACE=" .. path))
    return path, traces.read(path)
  end

  for _, heading in ipairs { "A program that scales", "A convoy", "Threads that starve" } do
    it("has a program that can be traced and drawn: " .. heading, function()
      local path, trace = trace_of(heading)
      local picture = draw(path)
      check_xml(picture)
      assert.matches("^<svg ", picture)
      for _, name in pairs(trace.names) do
        assert.is_truthy(picture:find(">" .. name .. "</text>", 1, true))
      end
      assert.is_true(#traces.slices(trace, "worker 1", "worker 1") == 1)
      os.remove(path)
    end)
  end

  it("says what a trace of starving threads shows", function()
    local path, trace = trace_of "Threads that starve"
    local jobs = 0
    for i = 1, 4 do jobs = jobs + #traces.slices(trace, "worker " .. i, "job") end
    assert.equal(25, jobs)
    assert.equal(25, #traces.slices(trace, "reader", "read"))
    os.remove(path)
  end)
end)

describe("tools/trace.lua", function()
  local function write(text)
    local path = os.tmpname()
    local file <close> = io.open(path, "w")
    file:write(text)
    return path
  end

  local name = '{"ph":"M","pid":1,"tid":1,"name":"thread_name","args":{"name":"a<b>&\\"c\\""}}'
  local life = '{"ph":"B","pid":1,"tid":1,"ts":0,"cat":"thread","name":"x","args":{}}'
  local wait = '{"ph":"X","pid":1,"tid":1,"ts":1000,"dur":500,"cat":"wait","name":"wait: lock"}'

  it("draws one that breaks off, in the midst of an event, too", function()
    for _, ending in ipairs { "]", "", ',\n{"ph":"X","na' } do
      local path = write("[\n" .. table.concat({ name, life, wait }, ",\n") .. ending)
      local text = draw(path, "--title 'more & more'")
      os.remove(path)
      check_xml(text)
      assert.matches("a&lt;b&gt;&amp;&quot;c&quot;</text>", text)
      assert.matches("more &amp; more", text)
      assert.matches("wait: lock, 0.500 ms", text)
    end
  end)

  it("draws a part", function()
    local path = write("[" .. table.concat({ name, life, wait }, ",") .. "]")
    assert.is_nil(draw(path, "--to 0.9"):find "wait: lock")
    assert.is_truthy(draw(path, "--from 0.9 --to 1.2"):find "wait: lock")
    assert.matches("nothing lies between", draw(path, "--from 2 --to 1"))
    os.remove(path)
  end)

  it("says what it can't read", function()
    assert.matches("can't read /no/such/file", draw "/no/such/file")
    local path = write "no JSON"
    assert.matches("trace%.lua: " .. path, draw(path))
    os.remove(path)
  end)
end)
