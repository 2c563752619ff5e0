-- The examples that need nothing but lthread do what they say.
local interpreter = os.getenv "LTHREAD_LUA" or "lua5.4"

local function run(example, ...)
  local command = { interpreter, "examples/" .. example, ... }
  local pipe <close> = io.popen(table.concat(command, " ") .. " 2>&1")
  return pipe:read "a"
end

describe("the example", function()
  it("wordcount counts the same with one thread and with several", function()
    local output = run("wordcount.lua", "doc", "2")
    assert.matches("^%d+ text files, [%d.]+ MB, in doc\n", output)
    assert.matches("\n   1  the +%d+\n", output)
    assert.matches("one thread took [%d.]+ s, 2 took [%d.]+ s: speed%-up [%d.]+\n$", output)
  end)

  it("wordcount says what is wrong with its arguments", function()
    assert.equal("wordcount: no such folder: nowhere\n", run("wordcount.lua", "nowhere"))
    assert.matches("positive integer", run("wordcount.lua", "doc", "many"))
  end)

  it("pipeline passes everything through its stages", function()
    assert.matches("^520000 words, 13 of them different", run "pipeline.lua")
  end)
end)
