-- The examples of the guide, of the README and of the page for those who come from elsewhere do
-- what stands beside them. Those of one section are one script. Those in C stand in a file that is
-- built.
local child = require "fixtures.child"
local hosts = require "support.hosts"

-- The code of each section of a file, by the section's heading.
local function examples_of(path)
  local examples, heading, is_code = {}, nil, false
  for line in io.lines(path) do
    if not is_code and line:find "^#+ " then
      heading = line:match "^#+ (.*)"
    elseif is_code and line == "```" then
      is_code = false
    elseif is_code then
      examples[heading] = examples[heading] .. line .. "\n"
    elseif line == "```lua" then
      is_code = true
      examples[heading] = examples[heading] or 'local _thread = require "lthread"\n'
    end
  end
  return examples
end

local function words(line)
  return (line:gsub("%s+", " "):match "^ ?(.-) ?$")
end

-- Looks for what follows --> in the code among the lines of the output, in this order.
local function check(code, output)
  local position = 1
  output = "\n" .. output:gsub("[^\n]*", words) .. "\n"
  for expected in code:gmatch "%-%->([^\n]*)" do
    local _, last = output:find("\n" .. words(expected) .. "\n", position, true)
    assert.truthy(last, ("%s is not in:\n%s"):format(expected, output))
    position = last
  end
  assert.truthy(output:find("\nstatus 0\n", position, true), output)
end

for _, path in ipairs { "doc/guide.md", "README.md", "doc/migrating.md" } do
  describe("the examples of " .. path, function()
    for heading, code in pairs(examples_of(path)) do
      it("in '" .. heading .. "' do what they say", function()
        check(code, child(code))
      end)
    end
  end)
end

-- The lines of all blocks in C of a file.
local function lines_of_c(path)
  local lines, is_code = {}, false
  for line in io.lines(path) do
    if line == "```c" or line == "```" then
      is_code = line == "```c"
    elseif is_code then
      lines[#lines + 1] = words(line)
    end
  end
  return lines
end

local built = {
  ["README.md"] = { "examples/embed.c" },
  ["doc/embedding.md"] = { "spec/hosts/documented.c", "spec/hosts/rules.c",
    "examples/blocking.c" },
  ["doc/reference.md"] = { "lthread.h" },
}

for path, built_paths in pairs(built) do
  local where = table.concat(built_paths, " and ")
  it("the C of " .. path .. " is that of " .. where, function()
    local present = {}
    for _, built_path in ipairs(built_paths) do
      for line in io.lines(built_path) do present[words(line)] = true end
    end
    local lines = lines_of_c(path)
    assert.truthy(#lines > 0)
    for _, line in ipairs(lines) do
      assert.truthy(present[line], ("%s has not: %s"):format(where, line))
    end
  end)
end

it("the host of doc/embedding.md runs a thread", function()
  assert.equal("42\nstatus 0\n", hosts.run "documented")
end)
