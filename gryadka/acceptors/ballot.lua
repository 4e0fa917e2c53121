-- A ballot is the text "counter:proposer", compared as two numbers: as text, Lua would order it by the
-- server's locale. Lua's numbers are doubles, so 2^53 and above, where they begin to round, is refused.
local function parts(ballot)
  local counter, proposer = string.match(ballot, "^(%d+):(%d+)$")
  counter, proposer = tonumber(counter), tonumber(proposer)
  local fine = counter and counter < 2^53 and proposer < 2^53
  if not fine then error({err = "BALLOT '" .. ballot .. "' is not two numbers below 2^53"}) end
  return counter, proposer
end

local function is_higher(ballot, other)
  if ballot == other then return false end -- the usual case
  local counter, proposer = parts(ballot)
  local other_counter, other_proposer = parts(other)
  return counter > other_counter or (counter == other_counter and proposer > other_proposer)
end
