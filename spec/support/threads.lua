-- What the specs of threads share.
local _thread = require "lthread"
local assert = require "luassert"

local LONG = 30 -- seconds, for what never takes so long

local function held()
  local lock = _thread.allocate_lock()
  lock:acquire()
  return lock
end

local function call(f, ...)
  return _thread.start_joinable_thread(f, { args = table.pack(...) }):result()
end

local function raises(class, text, f, ...)
  local ok, e = pcall(f, ...)
  assert.is_false(ok)
  assert.is_true(_thread.isinstance(e, class), tostring(e))
  assert.truthy(e.message:find(text, 1, true), e.message)
  return e
end

local function eventually(condition)
  local limit = _thread.monotonic() + LONG
  while not condition() do
    if _thread.monotonic() > limit then
      return false
    end
    _thread.sleep(0.001)
  end
  return true
end

local function info_of(ident)
  for _, info in ipairs(_thread.enumerate()) do
    if info.ident == ident then
      return info
    end
  end
end

local function quiet(finally)
  _thread.set_excepthook(function() end)
  finally(function()
    _thread.set_excepthook(nil)
  end)
end

return {
  LONG = LONG, held = held, call = call, raises = raises, eventually = eventually,
  info_of = info_of, quiet = quiet,
}
