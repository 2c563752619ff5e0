-- What the specs of transfers share.
local _thread = require "lthread"
local threads = require "support.threads"

local transfers = { call = threads.call }

-- The globals of this thread, and not of the spec's file.
transfers.globals = load("return _G")()

-- There and back.
function transfers.echo(value)
  return (threads.call(function(v) return v end, value))
end

-- Starting f with these arguments must raise a TypeError with this message, behind which there may
-- be the way out.
function transfers.refuses(text, f, ...)
  local assert = require "luassert"
  local count = _thread._count()
  local ok, e = pcall(_thread.start_new_thread, f, table.pack(...))
  assert.is_false(ok)
  assert.is_true(_thread.isinstance(e, _thread.TypeError), tostring(e))
  if e.message:sub(1, #text + 2) ~= text .. "; " then
    assert.equal(text, e.message)
  end
  assert.equal(count, _thread._count())
end

-- Globals that a spec sets; they are gone after it.
local named = {}

function transfers.with_global(name, value)
  named[name] = true
  transfers.globals[name] = value
end

-- A module that every thread makes for itself, and that no file holds. Its name begins with
-- "lt_spec."; it is gone after the spec.
function transfers.new_module(name, load_module)
  package.preload[name] = load_module
  return require(name)
end

-- Takes away, after each spec of the file, what these have made.
function transfers.clean_up()
  require "busted".after_each(function()
    for name in pairs(named) do
      transfers.globals[name] = nil
      named[name] = nil
    end
    for _, modules in ipairs { package.preload, package.loaded } do
      for name in pairs(modules) do
        if type(name) == "string" and name:find "^lt_spec%." then
          modules[name] = nil
        end
      end
    end
  end)
end

return transfers
