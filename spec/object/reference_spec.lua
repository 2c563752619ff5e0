-- The counts of the references to shared objects.
local hosts = require "support.hosts"

it("More references than can be counted keep an object, and none is hidden by them", function()
  local output = hosts.run "references"
  assert.equal(6, select(2, output:gsub(": yes\n", "")), output)
  assert.equal("status 0\n", output:gsub("[^\n]*: yes\n", ""), output)
end)
