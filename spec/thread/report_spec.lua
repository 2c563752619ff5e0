-- What the report of an error that nobody catches says, whatever the error is.
local child = require "fixtures.child"

-- The first line of the report of a thread that raises the value of an expression in Lua; and all
-- that there is of it.
local function report_of(expression)
  local output = child(([[
    local _thread = require "lthread"
    local function failing(f) return setmetatable({code = 3}, {__tostring = f}) end
    _thread.start_joinable_thread(function() error(%s) end):join()
  ]]):format(expression))
  return output:match "^Exception in thread Thread%-2 %(ident 2%):\n([^\n]*)\n" or output, output
end

describe("the report of an error", function()
  local fields = {
    ["{code = 42}"] = "{code = 42}",
    ["{}"] = "{}",
    ["{1, 'two', {}, {3}, nil, true}"] = '{1, "two", {}, {...}, [6] = true}',
    ["{[1.5] = print}"] = "{[1.5] = function}",
    ["{[true] = false}"] = "{[true] = false}",
    ["{['a b'] = coroutine.create(print)}"] = '{["a b"] = coroutine}',
    ["{[''] = io.stdout}"] = '{[""] = userdata}',
    ["{text = 'a\\nb\\r\\0\"\\\\'}"] = [[{text = "a\nb\013\000\"\\"}]],
    ["setmetatable({code = 1}, {__name = 'HttpError'})"] = "HttpError {code = 1}",
    ["setmetatable({code = 1}, {__index = error, __pairs = error})"] = "{code = 1}",
  }
  for value, text in pairs(fields) do
    it("shows the fields of " .. value, function()
      assert.equal(text, (report_of(value)))
    end)
  end

  it("shows as many fields as a line takes", function()
    local list = report_of "(function() local t = {} for i = 1, 999 do t[i] = i end return t end)()"
    assert.matches("^{1, 2, 3, .*, %.%.%.}$", list)
    assert.is_true(#list < 130, list)
    local text = report_of "{('x'):rep(1e6), long = ('\xc3\xbc'):rep(1e6)}"
    assert.matches('^{"x+"%.%.%., long = "\xc3[\xbc\xc3]*\xbc"%.%.%.}$', text)
    assert.is_true(#text < 200, text)
    local many = report_of [[(function() local t = {} for i = 1, 100 do t[("k"):rep(i)] = i end
      return t end)()]]
    assert.is_true(#many < 300, many)
  end)

  it("shows what else there is as tostring does", function()
    assert.equal(_VERSION == "Lua 5.4" and "nil" or "<no error object>", (report_of "nil"))
    assert.equal("true", (report_of "true"))
    assert.equal("12", (report_of "12"))
    assert.matches("^function: ", (report_of "print"))
    assert.matches("^<unlocked _thread.lock object", (report_of "_thread.allocate_lock()"))
    assert.equal("by itself", (report_of "failing(function() return 'by itself' end)"))
  end)

  it("tells that a __tostring fails, and of what", function()
    assert.equal("{code = 3} (its __tostring fails: {code = 3})", (report_of "failing(error)"))
    assert.equal("{code = 3} (its __tostring fails: '__tostring' must return a string)",
      (report_of "failing(function() end)"))
    assert.matches("^{code = 3} %(its __tostring fails: .*:3: inner%)$",
      (report_of "failing(function() error 'inner' end)"))
    assert.matches("^{code = 3} %(its __tostring fails: .*:3: ValueError: inner%)$",
      (report_of "failing(function() error(_thread.ValueError 'inner') end)"))
    assert.equal("{code = 3} (its __tostring fails: {code = 3})",
      (report_of "failing(function() error(failing(error)) end)"))
    local _, output = report_of "failing(error)"
    assert.not_matches("memory", output, 1, true)
    assert.matches("stack traceback:", output, 1, true)
  end)

  it("tells what raises SystemExit instead", function()
    assert.equal("SystemExit", (report_of "failing(function() _thread.exit() end)"))
  end)

  it("tells of a hook that raises such an error, and of the first one", function()
    local output = child [[
      local _thread = require "lthread"
      _thread.set_excepthook(function() error(setmetatable({}, {__tostring = error})) end)
      _thread.start_joinable_thread(function() error {code = 42} end):join()
      print(pcall(_thread._excepthook, {exc_value = setmetatable({}, {__tostring = error})}))
    ]]
    assert.matches("\n{} %(its __tostring fails: {}%)\n%(this was raised by the excepthook", output)
    assert.matches("\n{code = 42}\n", output, 1, true)
    assert.matches("Exception in a thread:\n{} %(its __tostring fails: {}%)\ntrue\n", output)
    assert.not_matches("memory", output, 1, true)
  end)
end)

describe("an error that can't cross", function()
  it("is called error", function()
    local output = child [[
      local _thread = require "lthread"
      _thread.set_excepthook(function() end)
      for _, value in ipairs { 1, 2 } do
        local handle = _thread.start_joinable_thread(function()
          local co = coroutine.create(print)
          error(value == 1 and co or {field = {co}})
        end)
        print(select(2, pcall(handle.result, handle)))
      end
      local handle = _thread.start_joinable_thread(function() return 1, coroutine.create(print) end)
      print(select(2, pcall(handle.result, handle)))
    ]]
    local advice = "; send its function and create it there\n"
    assert.equal("TypeError: cannot transfer a coroutine (error)" .. advice
      .. "TypeError: cannot transfer a coroutine (error.field[1])" .. advice
      .. "TypeError: cannot transfer a coroutine (result[2])" .. advice .. "status 0\n", output)
  end)
end)

describe("an error in a finalizer that is older than the library", function()
  it("can be printed, and is one of the library", function()
    local output = child [[
      local _thread, Mine, mine, lock
      old = setmetatable({}, {__gc = function()
        local function show(f, ...)
          local _, e = pcall(f, ...)
          print((tostring(e):gsub("^[^ ]*:%d+: ", "")), _thread.isinstance(e, _thread.Exception))
        end
        show(error, _thread.ValueError "no")
        show(error, mine)
        show(_thread.sleep, "x")
        show(lock.acquire, lock)
        show(function() return Mine "text" end)
        print(tostring(_thread.ValueError))
      end})
      _thread = require "lthread"
      lock = _thread.allocate_lock()
      Mine = _thread.ValueError:subclass "Mine"
      mine = Mine "text"
    ]]
    assert.matches("^ValueError: no\ttrue\nMine: text\t%a+\n"
      .. "RuntimeError: .* is being closed\ttrue\n"
      .. "TypeError: .*_thread.lock of a state that is being closed%)\ttrue\n"
      .. "TypeError: .*class of a state that is being closed%)\ttrue\n<class 'ValueError'>\n"
      .. "status 0\n$", output)
  end)
end)
