use super::*;

#[test]
fn unusable_settings_still_say_what_the_machine_has() {
    let findings = check(Err("--listen: \"x\" is no address".to_owned()));
    assert_eq!(findings.len(), 15, "the list is always the same");
    assert_eq!((findings[0].subject, findings[0].status), (Subject::Configuration, Status::Failed));
    for finding in &findings {
        assert_eq!(finding.remedy.is_some(), finding.status >= Status::Warning, "{finding:?}");
    }
    let skipped = findings.iter().filter(|finding| finding.found == UNUSABLE).count();
    assert_eq!(skipped, 9);
    assert!(!is_fit(&findings));
}
