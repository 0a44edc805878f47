// Teams: team_size neighbouring invocations, which add up through workgroup memory.
override team_size: u32 = 16; // a power of two that divides workgroup_size

var<workgroup> team_sums: array<vec2<f32>, workgroup_size>;

// Sets team, lane and lanes; how many teams there are.
fn form_teams(invocation: u32) -> u32 {
  team = invocation / team_size;
  lane = invocation % team_size;
  lanes = team_size;
  return workgroup_size / team_size;
}

// The sums over the team, in every invocation of it.
fn team_sum(value: vec2<f32>) -> vec2<f32> {
  let start = team * team_size;
  team_sums[start + lane] = value;
  for (var half = team_size / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) {
      team_sums[start + lane] += team_sums[start + lane + half];
    }
  }
  workgroupBarrier();
  let sum = team_sums[start];
  workgroupBarrier();
  return sum;
}

// largest[index] = max(largest[index], the workgroup's values), after the next barrier.
fn raise(index: u32, value: u32) {
  atomicMax(&largest[index], value);
}
