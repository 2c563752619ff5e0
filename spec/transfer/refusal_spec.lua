-- What does not cross between threads is refused with the path to it.
local _thread = require "lthread"
local transfers = require "support.transfers"
local call, refuses, with_global = transfers.call, transfers.refuses, transfers.with_global

transfers.clean_up()

local function nothing() end

local advice = "; _thread.register_transfer says how it crosses, "
  .. "_thread.per_thread makes one in each thread"

describe("a refusal", function()
  local co = coroutine.create(print)

  it("names the path to a coroutine", function()
    refuses("cannot transfer a coroutine (args[1])", nothing, co)
    refuses("cannot transfer a coroutine (args[2])", nothing, 1, co)
    refuses("cannot transfer a coroutine (args[1].job.co)", nothing, { job = { co = co } })
    refuses('cannot transfer a coroutine (args[1][3]["two words"])', nothing,
      { 1, 2, { ["two words"] = co } })
    refuses("cannot transfer a coroutine (args[2][7])", nothing, {}, { [7] = co })
    refuses("cannot transfer a coroutine (args[1]'s key [coroutine])", nothing, { [co] = 1 })
    refuses("cannot transfer a coroutine (args[1][true])", nothing, { [true] = co })
    refuses("cannot transfer a coroutine (args[1].a's metatable.co)", nothing,
      { a = setmetatable({}, { co = co }) })
  end)

  it("shows any key on one line, as it could be written", function()
    local function refuses_key(shown, key)
      refuses("cannot transfer a coroutine (args[1]" .. shown .. ")", nothing, { [key] = co })
    end
    refuses_key('["end"]', "end")
    refuses_key('["goto"]', "goto")
    refuses_key(".ends", "ends")
    refuses_key('[""]', "")
    refuses_key('["1st"]', "1st")
    refuses_key([=[["a\0b"]]=], "a\0b")
    refuses_key([=[["a\0001"]]=], "a\0001")
    refuses_key([=[["a\nb\r\tc"]]=], "a\nb\r\tc")
    refuses_key([=[["say \"no\" \\ never"]]=], 'say "no" \\ never')
    refuses_key([=[["\27[31m"]]=], "\27[31m")
    refuses_key('["größer"]', "größer")
    refuses_key([=[["gr\246\223er"]]=], "gr\246\223er")
    refuses_key([=[["\237\160\128 \192\128 \244\144"]]=], "\u{D800} \192\128 \244\144")
  end)

  it("cuts a long key, at a character", function()
    refuses('cannot transfer a coroutine (args[1]["' .. ("x"):rep(60) .. '..."])', nothing,
      { [("x"):rep(100000)] = co })
    refuses('cannot transfer a coroutine (args[1].' .. ("x"):rep(60) .. ")", nothing,
      { [("x"):rep(60)] = co })
    for ascii, whole in pairs { [0] = 30, 29, 29, 28 } do
      local cut = ("x"):rep(ascii) .. ("ö"):rep(whole)
      refuses('cannot transfer a coroutine (args[1]["' .. cut .. '..."])', nothing,
        { [("x"):rep(ascii) .. ("ö"):rep(50)] = co })
    end
    refuses('cannot transfer a coroutine (args[1]["' .. ("€"):rep(20) .. '..."])', nothing,
      { [("€"):rep(21)] = co })
    refuses('cannot transfer a coroutine (args[1]["' .. ("𝄞"):rep(15) .. '..."])', nothing,
      { [("𝄞"):rep(16)] = co })
  end)

  it("shows keys like that of what is shared, and names of globals", function()
    local ok, e = pcall(_thread.shared, { ["a\0b"] = { [("x"):rep(100)] = { co } } })
    assert.is_false(ok)
    assert.equal('cannot transfer a coroutine (value["a\\0b"]["' .. ("x"):rep(60) .. '..."][1])'
      .. "; send its function and create it there", e.message)
    ok, e = pcall(_thread.shared, { ["two\nlines"] = { [co] = true } })
    assert.is_false(ok)
    assert.equal('a coroutine cannot be a key of a shared table (in value["two\\nlines"])',
      e.message)
    with_global("lt_spec\nglobal", co)
    refuses("cannot transfer a coroutine (function's global lt_spec\\nglobal)",
      load("return _ENV['lt_spec\\nglobal']"))
  end)

  it("names the upvalue", function()
    refuses("cannot transfer a coroutine (function's upvalue co)", function() return co end)
    local table_of = { inner = { co } }
    refuses("cannot transfer a coroutine (function's upvalue table_of.inner[1])", function()
      return table_of
    end)
    refuses("cannot transfer a coroutine (args[1].f's upvalue co)", nothing,
      { f = function() return co end })
  end)

  it("names the global", function()
    with_global("lt_spec_job", co)
    refuses("cannot transfer a coroutine (function's global lt_spec_job)", function()
      return lt_spec_job -- luacheck: ignore
    end)
    refuses("cannot transfer a coroutine (function's global lt_spec_job)",
      load("return function() return lt_spec_job end"))
    with_global("lt_spec_helper", load("return lt_spec_job"))
    refuses("cannot transfer a coroutine (function's global lt_spec_helper's global lt_spec_job)",
      load("return lt_spec_helper()"))
  end)

  it("says what it is", function()
    local file <close> = io.tmpfile()
    refuses("cannot transfer an iterator of string.gmatch (args[1]); "
      .. "send the string and iterate there", nothing,
      (string.gmatch("x", ".")))
    refuses("cannot transfer an iterator of io.lines (args[1]); "
      .. "send the name of the file and open it there", nothing,
      (io.lines("spec/transfer/refusal_spec.lua")))
    refuses("cannot transfer an iterator of io.lines (args[1])", nothing, (file:lines()))
    refuses("cannot transfer an iterator of coroutine.wrap (args[1]); "
      .. "send its function and wrap it there", nothing,
      coroutine.wrap(print))
    local typed <close> = setmetatable({ io.tmpfile() }, { __close = function(t) t[1]:close() end })
    local metatable = getmetatable(typed[1])
    local name = metatable.__name
    finally(function() metatable.__name = name end)
    metatable.__name = "two\nlines"
    refuses("cannot transfer a two\\nlines userdata (args[1])" .. advice, nothing, typed[1])
    metatable.__name = name
    refuses("cannot transfer a FILE* userdata (args[1].out)" .. advice, nothing, { out = file })
    refuses("cannot transfer a FILE* userdata (function's upvalue file)" .. advice, function()
      return file
    end)
  end)

  it("runs nothing of what was to be started", function()
    local lock = _thread.allocate_lock()
    lock:acquire()
    refuses("cannot transfer a coroutine (args[2])", function(l) l:release() end, lock, co)
    assert.is_true(lock:locked())
    assert.equal("well", (call(function() return "well" end)))
  end)

  it("of a very long path shows its end", function()
    local deep = { last = { co } }
    for _ = 1, 1000 do
      deep = { deep }
    end
    local ok, e = pcall(_thread.start_new_thread, nothing, { deep })
    assert.is_false(ok)
    assert.is_true(_thread.isinstance(e, _thread.TypeError))
    assert.truthy(e.message:find("^cannot transfer a coroutine %(args%[1%]%.%.%."), e.message)
    assert.truthy(e.message:find(".last[1])", 1, true), e.message)
    assert.is_true(#e.message < 200)
  end)
end)
