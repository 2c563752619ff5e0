local _thread = require "lthread"
local raised = require "support.raised"
local threads = require "support.threads"

local is_supported, all = pcall(_thread.get_affinity)

if not is_supported then
  describe("affinity", function()
    it("is refused where threads can't choose their processors", function()
      assert.is_true(_thread.isinstance(all, _thread.NotSupportedError))
      raised(_thread.NotSupportedError, _thread.set_affinity, { 0 })
      raised(_thread.NotSupportedError, _thread.start_joinable_thread, print, { affinity = { 0 } })
    end)
  end)
  return
end

describe("affinity", function()
  local last = { all[#all] }

  it("of a start is that of the thread, and of no later one on the same OS thread", function()
    for _ = 1, 20 do
      local handle = _thread.start_joinable_thread(_thread.get_affinity, { affinity = last })
      assert.same(last, (handle:result()))
      assert.same(all, (threads.call(_thread.get_affinity)))
    end
  end)

  it("is set by a thread for itself, and not for those that it starts", function()
    local own, inner = threads.call(function()
      local lthread = require "lthread"
      lthread.set_affinity(last)
      return lthread.get_affinity(),
        (lthread.start_joinable_thread(lthread.get_affinity):result())
    end)
    assert.same(last, own)
    assert.same(all, inner)
    assert.same(all, _thread.get_affinity())
  end)

  it("names the processor that can't be used", function()
    local e = raised(_thread.ValueError, _thread.set_affinity, { all[1], 1000 })
    assert.matches("1000", e.message)
    raised(_thread.ValueError, _thread.set_affinity, { -1 })
    raised(_thread.ValueError, _thread.set_affinity, { 1 << 40 })
    raised(_thread.ValueError, _thread.set_affinity, {})
    raised(_thread.TypeError, _thread.set_affinity, { "first" })
    raised(_thread.TypeError, _thread.set_affinity)
    raised(_thread.ValueError, _thread.start_joinable_thread, print, { affinity = { 1000 } })
    assert.same(all, _thread.get_affinity())
  end)
end)
