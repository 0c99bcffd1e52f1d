// Chooses among the kernel tables at run time.
#include "base/dispatch.hpp"

#include <atomic>
#include <cstdlib>

#include "base/utf8.hpp"
#include "makemore/error.hpp"
#include "makemore/machine.hpp"

namespace makemore {

#define MAKEMORE_DECLARE(isa)   \
  namespace isa {               \
  extern const Kernels kernels; \
  }
#ifdef MAKEMORE_HAS_baseline
MAKEMORE_DECLARE(baseline)
#endif
#ifdef MAKEMORE_HAS_avx2
MAKEMORE_DECLARE(avx2)
#endif
#ifdef MAKEMORE_HAS_avx512
MAKEMORE_DECLARE(avx512)
#endif
#ifdef MAKEMORE_HAS_neon
MAKEMORE_DECLARE(neon)
#endif
#undef MAKEMORE_DECLARE

namespace {

struct Candidate {
  const Kernels* kernels;
  bool runs_here;
};

// The instruction sets of this build, the best one last.
std::vector<Candidate> candidates() {
  std::vector<Candidate> all;
#ifdef MAKEMORE_HAS_baseline
  all.push_back({&baseline::kernels, true});
#endif
#ifdef MAKEMORE_HAS_avx2
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  all.push_back({&avx2::kernels, avx2});
#endif
#ifdef MAKEMORE_HAS_avx512
  all.push_back({&avx512::kernels,
                 avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                     __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")});
#endif
#ifdef MAKEMORE_HAS_neon
  all.push_back({&neon::kernels, true});  // part of every 64-bit ARM
#endif
  return all;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

// The kernels of the instruction set `name`.  `who` is what an error's sentence begins with.
const Kernels* named(const std::string& name, const std::string& who) {
  for (const Candidate& candidate : candidates()) {
    if (candidate.kernels->name != name) continue;
    if (candidate.runs_here) return candidate.kernels;
    throw ArgumentError(who + ": this machine cannot run " + name + ", only " +
                        joined(isas_found()));
  }
  throw ArgumentError(who + ": '" + show_text(name) +
                      "' is not an instruction set of this build, which has " +
                      joined(isas_built()));
}

std::atomic<const Kernels*> in_use{nullptr};

const Kernels* chosen_at_first_use() {
  const char* forced = std::getenv("MAKEMORE_ISA");
  if (forced != nullptr && *forced != '\0') return named(forced, "MAKEMORE_ISA");
  const Kernels* best = nullptr;
  for (const Candidate& candidate : candidates()) {
    if (candidate.runs_here) best = candidate.kernels;
  }
  return best;
}

}  // namespace

const Kernels& kernels() {
  const Kernels* table = in_use.load(std::memory_order_acquire);
  if (table == nullptr) {
    const Kernels* chosen = chosen_at_first_use();
    // Another thread may have been first, perhaps by use_isa: then `table` becomes its choice.
    if (in_use.compare_exchange_strong(table, chosen, std::memory_order_acq_rel)) table = chosen;
  }
  return *table;
}

std::vector<std::string> isas_built() {
  std::vector<std::string> names;
  for (const Candidate& candidate : candidates()) names.emplace_back(candidate.kernels->name);
  return names;
}

std::vector<std::string> isas_found() {
  std::vector<std::string> names;
  for (const Candidate& candidate : candidates()) {
    if (candidate.runs_here) names.emplace_back(candidate.kernels->name);
  }
  return names;
}

std::string isa_used() { return kernels().name; }

void use_isa(const std::string& name) {
  in_use.store(named(name, "isa"), std::memory_order_release);
}

}  // namespace makemore
